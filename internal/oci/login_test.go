package oci

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// private has a registry ask for a name and a password, by itself or through a
// server for tokens on the same address.
func private(h *hub, user, password string, tokens bool) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		want, challenge := basic, `Basic realm="x"`
		if tokens {
			want, challenge = "Bearer let-me-in", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, r.Host)
			if r.URL.Path == "/token" {
				if r.Header.Get("Authorization") != basic {
					w.WriteHeader(http.StatusUnauthorized)
					return true
				}
				fmt.Fprint(w, `{"token":"let-me-in"}`)
				return true
			}
		}
		if r.Header.Get("Authorization") == want {
			return false
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`)
		return true
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for name, tokens := range map[string]bool{"basic": false, "tokens": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			ref := h.push(plainImage(t), "team/secret", "1")
			private(h, "me", "secret", tokens)
			s := storeIn(t, t.TempDir(), Limits{})
			_, err := s.Pull(t.Context(), ref, anonymous())
			wantKind(t, err, job.KindInvalid, "--username")
			_, err = s.Pull(t.Context(), ref, Options{Username: "me", Password: "wrong"})
			wantKind(t, err, job.KindInvalid, "--username")
			if strings.Contains(err.Error(), "wrong") {
				t.Errorf("%q has the password", err)
			}
			_, err = s.Pull(t.Context(), ref, Options{Username: "me", Password: "secret"})
			must(t, err)
		})
	}
}

// What docker login has kept is used. The default looks in the environment.
func TestDockerConfig(t *testing.T) {
	h := newHub(t)
	ref := h.push(plainImage(t), "team/secret", "1")
	private(h, "me", "secret", false)
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", dir)
	write := func(content string) {
		must(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600))
	}
	s := storeIn(t, t.TempDir(), Limits{})
	write(`{"auths": {`)
	_, err := s.Pull(t.Context(), ref, Options{})
	wantKind(t, err, job.KindConfig, "config.json")
	auth := base64.StdEncoding.EncodeToString([]byte("me:secret"))
	write(fmt.Sprintf(`{"auths": {"other.example.com": {"auth": "eDp5"}, %q: {"auth": %q}}}`, h.Listener.Addr(), auth))
	_, err = s.Pull(t.Context(), ref, Options{})
	must(t, err)
}

// Plain HTTP is for this machine, and nobody else sends us there.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string][2]bool{ // for a registry elsewhere, and on this machine
		"https://registry.example.com/v2/": {true, true},
		"http://registry.example.com/v2/":  {false, false},
		"http://10.0.0.1/v2/":              {false, false},
		"http://192.168.1.1:5000/v2/":      {false, false},
		"http://registry.local/v2/":        {false, false},
		"http://localhost.example.com/":    {false, false},
		"http://169.254.169.254/latest/":   {false, false},
		"http://0.0.0.0/":                  {false, false},
		"http://127.0.0.1:5000/v2/":        {false, true},
		"http://localhost:5000/v2/":        {false, true},
		"http://[::1]:5000/v2/":            {false, true},
		"http://[::ffff:127.0.0.1]/":       {false, true},
		"ftp://127.0.0.1/":                 {false, true},
	} {
		for i, local := range []bool{false, true} {
			sent := false
			g := guarded{local: local, inner: trip(func(*http.Request) { sent = true })}
			_, err := g.RoundTrip(httptest.NewRequest(http.MethodGet, url, nil))
			if (err == nil) != ok[i] || sent != ok[i] {
				t.Errorf("%s, local %v: sent %v, error %v", url, local, sent, err)
			}
		}
	}
}

type trip func(*http.Request)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{}, nil
}

// A private network is no reason to send a password in the clear.
func TestPrivateNetwork(t *testing.T) {
	t.Parallel()
	s := storeIn(t, t.TempDir(), Limits{})
	s.transport = refusing{}
	_, err := s.Pull(t.Context(), "10.1.2.3:5000/team/image:1", Options{Username: "me", Password: "secret"})
	wantKind(t, err, job.KindInvalid, "plain HTTP", "certificate")
}

type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("%s: nobody is there", r.URL.Scheme)
}

// What a registry on this machine is redirected to gets no password, and a
// redirect does not leave TLS.
func TestRedirect(t *testing.T) {
	t.Parallel()
	image := plainImage(t)
	layer := image.order[0]
	blobs := newHub(t)
	blobs.push(image, "x", "1")
	var password string
	blobs.before = func(_ http.ResponseWriter, r *http.Request) bool {
		password += r.Header.Get("Authorization")
		return false
	}
	h := newHub(t)
	ref := h.push(image, "team/secret", "1")
	private(h, "me", "secret", false)
	login := h.before
	to := "http://" + blobs.Listener.Addr().String()
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if login(w, r) {
			return true
		}
		if strings.HasSuffix(r.URL.Path, layer.String()) {
			http.Redirect(w, r, to+"/v2/x/blobs/"+layer.String(), http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	s := storeIn(t, t.TempDir(), Limits{})
	_, err := s.Pull(t.Context(), ref, Options{Username: "me", Password: "secret"})
	must(t, err)
	if password != "" {
		t.Errorf("the other server was given %q", password)
	}
	to = "http://registry.example.com"
	_, err = storeIn(t, t.TempDir(), Limits{}).Pull(t.Context(), ref, Options{Username: "me", Password: "secret"})
	wantKind(t, err, job.KindInvalid, "plain HTTP")
}

func TestReferences(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"python":                             "docker.io/library/python:latest",
		"python:3.12":                        "docker.io/library/python:3.12",
		"docker.io/library/python:3.12":      "docker.io/library/python:3.12",
		"team/tools":                         "docker.io/team/tools:latest",
		"localhost:5000/a/b:1":               "localhost:5000/a/b:1",
		"ghcr.io/team/tools@" + digest:       "ghcr.io/team/tools@" + digest,
		"python:3@" + digest:                 "docker.io/library/python@" + digest,
		"":                                   "",
		"UPPER":                              "",
		"../../etc/passwd":                   "",
		"a b":                                "",
		"python@sha256:abc":                  "",
		"http://registry.example.com/tool":   "",
		"python:" + strings.Repeat("x", 200): "",
	} {
		ref, err := parseReference(text)
		switch {
		case want == "":
			if job.KindOf(err) != job.KindInvalid {
				t.Errorf("%q: %v, %v", text, ref, err)
			}
		case err != nil || Familiar(ref) != want:
			t.Errorf("%q is %v, %v; want %s", text, ref, err, want)
		default:
			if Familiar(parsed(t, Familiar(ref))) != want {
				t.Errorf("%q does not come back", want)
			}
		}
	}
}
