package pkgindex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/takotest"
)

func registryURL(t *testing.T, r *takotest.NPMRegistry, user string) *url.URL {
	t.Helper()
	u, err := url.Parse(strings.Replace(r.URL, "://", "://"+user, 1))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// npm answers the page of a package, and the content of a version's file.
func (c client) npm(name string) (code int, p packument) {
	c.t.Helper()
	code, body := c.get("/npm/" + strings.Replace(name, "/", "%2f", 1))
	if code == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			c.t.Errorf("the page of %s: %v", name, err)
		}
	}
	return code, p
}

func (c client) tarball(link string) (int, string) {
	c.t.Helper()
	file, ours := strings.CutPrefix(link, "http://"+Host)
	if !ours {
		c.t.Errorf("%s leads elsewhere", link)
	}
	return c.get(file)
}

// A package's page has links of ours, and keeps what an installer needs; the
// directory comes before the registry.
func TestNPM(t *testing.T) {
	up, dir := takotest.NewNPMRegistry(t), t.TempDir()
	up.Publish(t, map[string]any{"name": "a", "version": "1.0.0", "dependencies": map[string]string{"b": "^1"}, "scripts": map[string]string{"install": "evil"},
		"bin": "x.js", "engines": []string{"node"}, "readme": "long"}, nil, nil)
	up.Publish(t, map[string]any{"name": "@s/b", "version": "1.0.0-rc.1+x"}, nil, nil)
	up.Publish(t, map[string]any{"name": "mine", "version": "99.0.0"}, nil, nil)
	local := takotest.NPMPackage(t, map[string]any{"name": "mine", "version": "0.1.0", "dist": "x", "bin": map[string]string{"m": "m.js"}}, nil)
	if err := os.WriteFile(filepath.Join(dir, "any-name.tgz"), local, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Options{NPM: registryURL(t, up, "tok:@"), Wheels: dir})
	_, body := c.get("/npm/a")
	for _, not := range []string{"scripts", "evil", "readme", up.URL} {
		if strings.Contains(body, not) {
			t.Errorf("the page has %q: %s", not, body)
		}
	}
	_, a := c.npm("a")
	if v := a.Versions["1.0.0"]; v == nil || string(v.Dependencies) != `{"b":"^1"}` || string(v.Bin) != `"x.js"` || !strings.HasPrefix(v.Dist.Integrity, "sha512-") || a.Tags["latest"] != "1.0.0" {
		t.Errorf("the page of a: %+v", a)
	}
	_, b := c.npm("@s/b")
	v := b.Versions["1.0.0-rc.1+x"]
	if v == nil {
		t.Fatalf("the page of @s/b: %+v", b)
	}
	if code, content := c.tarball(v.Dist.Tarball); code != http.StatusOK || !strings.HasPrefix(content, "\x1f\x8b") {
		t.Errorf("its file: %d", code)
	}
	if origin := c.g.Origin(v.Dist.Tarball); origin != up.URL+"/@s/b/-/b-1.0.0-rc.1+x.tgz" {
		t.Errorf("its origin: %s", origin)
	}
	below := registryURL(t, up, "")
	below.Path = "/secret"
	up.Page("secret/a", `{"versions":{"1.0.0":{"dist":{"tarball":"/secret/a.tgz"}}}}`)
	other := newClient(t, Options{NPM: below})
	if _, p := other.npm("a"); p.Versions["1.0.0"] == nil || other.g.Origin(p.Versions["1.0.0"].Dist.Tarball) != "" {
		t.Errorf("the path of a registry is told: %+v", p)
	}
	_, mine := c.npm("mine")
	if len(mine.Versions) != 1 || mine.Versions["0.1.0"] == nil {
		t.Fatalf("the page of mine: %+v", mine)
	}
	link := mine.Versions["0.1.0"].Dist.Tarball
	if code, content := c.tarball(link); code != http.StatusOK || content != string(local) || c.g.Origin(link) != "" {
		t.Errorf("its file: %d, %d bytes", code, len(content))
	}
	if code, _ := newClient(t, Options{NPM: registryURL(t, up, "tok:@")}).get("/npm/@s/b/-/b-1.0.0-rc.1+x.tgz"); code != http.StatusOK {
		t.Errorf("a file whose page was not asked for: %d", code)
	}
	for _, path := range []string{"/npm/a/-/a-2.0.0.tgz", "/npm/a/-/", "/npm/none/-/none-1.0.0.tgz", "/npm/a/-/../x", "/npm/none", "/npm/", "/npm/-/x", "/npm/@s", "/npm/@s/", "/npm/a/1.0.0", "/npm/.a", "/npm/@s/b/c", "/npm/%2e%2e/x"} {
		if code, _ := c.get(path); code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, code)
		}
	}
	if err := c.g.Fault(); err != nil {
		t.Errorf("something was at fault: %v", err)
	}
	asked := len(up.Asked())
	if c.npm("a"); len(up.Asked()) != asked || !strings.HasSuffix(up.Asked()[1], "/@s%2fb") {
		t.Errorf("it was asked %q", up.Asked())
	}
	if code, _ := newClient(t, Options{}).npm("a"); code != http.StatusNotFound {
		t.Errorf("without a registry: %d", code)
	}
}

// What a registry says that makes no sense is left out, or its fault.
func TestNPMPages(t *testing.T) {
	up := takotest.NewNPMRegistry(t)
	deep := strings.Repeat("[", 20000)
	for name, tc := range map[string]struct{ body, fault string }{
		"list":       {`[]`, "not the page of an npm package"},
		"text":       {`<html>`, "reading a page"},
		"cut":        {`{"versions":{"1.0.0":{"dist":{"tarball":"x"}}`, "reading a page"},
		"none":       {`{"name":"x","versions":{}}`, "no versions"},
		"deep":       {`{"versions":{"1.0.0":` + deep, "reading a page"},
		"odd":        {`{"versions":{"../1":{"dist":{"tarball":"x"}},"1":{"dist":"x"},"2":{},"3":null,"4.0.0":{"dist":{"tarball":"x"}}},"dist-tags":{"a":1,"b":"../x","c":"4.0.0"}}`, ""},
		"not-ours":   {`{"versions":{"1.0.0":{"name":"other","version":"9","dist":{"tarball":"http://[::bad"}},"2.0.0":{"name":"other","dist":{"tarball":"t"}}}}`, ""},
		"tags-alone": {`{"dist-tags":[]}`, "not the page of an npm package"},
	} {
		up.Page(name, tc.body)
		c := newClient(t, Options{NPM: registryURL(t, up, "")})
		code, p := c.npm(name)
		err := c.g.Fault()
		switch {
		case tc.fault != "" && (code != http.StatusBadGateway || err == nil || !strings.Contains(err.Error(), tc.fault) || !strings.Contains(err.Error(), "the npm registry")):
			t.Errorf("%s: %d, %v", name, code, err)
		case tc.fault == "" && (code != http.StatusOK || err != nil || len(p.Versions) != 1 || len(p.Tags) > 1):
			t.Errorf("%s: %d, %v, %+v", name, code, err, p)
		}
		for version, v := range p.Versions {
			if v.Name != name || v.Version != version {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

// A page without end is given up when it is too large.
func TestNPMPageTooLarge(t *testing.T) {
	body := io.MultiReader(strings.NewReader(`{"readme":"`), endless{})
	if _, err := parsePackument(body, &url.URL{}); err == nil || !strings.Contains(err.Error(), "larger than 64 MB") {
		t.Errorf("%v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// Tokens and passwords go to the registry, and to nobody else.
func TestNPMCredentials(t *testing.T) {
	for user, header := range map[string]string{"the-token@": "Bearer the-token", "bob:pw@": "Basic Ym9iOnB3"} {
		up, other := takotest.NewNPMRegistry(t), takotest.NewNPMRegistry(t)
		up.Authorization = header
		other.Publish(t, map[string]any{"name": "p", "version": "1.0.0"}, nil, nil)
		up.Publish(t, map[string]any{"name": "p", "version": "1.0.0"}, nil, nil)
		up.Publish(t, map[string]any{"name": "p", "version": "2.0.0"}, nil, func(v map[string]any) { v["dist"] = map[string]string{"tarball": other.URL + "/p/-/p-1.0.0.tgz"} })
		c := newClient(t, Options{NPM: registryURL(t, up, user)})
		_, p := c.npm("p")
		if len(p.Versions) != 2 {
			t.Fatalf("with %s: %+v, %v", user, p, c.g.Fault())
		}
		if code, _ := c.tarball(p.Versions["1.0.0"].Dist.Tarball); code != http.StatusOK {
			t.Errorf("its own file: %d", code)
		}
		if code, _ := c.tarball(p.Versions["2.0.0"].Dist.Tarball); code != http.StatusBadGateway || len(other.Asked()) > 0 {
			t.Errorf("another's file: %d", code)
		}
		if strings.Contains(c.g.Origin(p.Versions["1.0.0"].Dist.Tarball), "@") {
			t.Error("the origin has credentials")
		}
		closed := newClient(t, Options{NPM: registryURL(t, up, "")})
		if code, _ := closed.npm("p"); code != http.StatusBadGateway || !strings.Contains(fmt.Sprint(closed.g.Fault()), "a token") {
			t.Errorf("without them: %d, %v", code, closed.g.Fault())
		}
	}
}

// A file in the directory that is no package is named.
func TestNPMDirectory(t *testing.T) {
	for name, content := range map[string][]byte{
		"text": []byte("x"), "cut": takotest.NPMPackage(t, map[string]any{"name": "a", "version": "1.0.0"}, nil)[:40],
		"name": takotest.NPMPackage(t, map[string]any{"name": "../a", "version": "1.0.0"}, nil), "version": takotest.NPMPackage(t, map[string]any{"name": "a", "version": "x y"}, nil),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.tgz"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, Options{Wheels: dir})
		if code, _ := c.npm("a"); code != http.StatusBadGateway || !strings.Contains(fmt.Sprint(c.g.Fault()), "p.tgz") || job.KindOf(c.g.Fault()) != job.KindUnavailable {
			t.Errorf("%s: %d, %v", name, code, c.g.Fault())
		}
	}
}

// transport answers every request with one body.
type transport struct{ body io.ReadCloser }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	context := req.Context()
	stop := make(chan struct{})
	go func() {
		select {
		case <-context.Done():
			_ = t.body.Close() // as a connection breaks off
		case <-stop:
		}
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {jsonType}}, Body: body{t.body, stop}, Request: req, ContentLength: -1}, nil
}

type body struct {
	io.ReadCloser
	stop chan struct{}
}

func (b body) Close() error {
	close(b.stop)
	return b.ReadCloser.Close()
}

// An index may take long, but not be silent for a minute, nor go on for ever.
func TestPatience(t *testing.T) {
	for name, tc := range map[string]struct {
		pause int // seconds between two bytes
		bytes int
		want  error
	}{
		"slow":    {pause: 50, bytes: 5},
		"silent":  {pause: 61, bytes: 5, want: errSilent},
		"endless": {pause: 50, bytes: 50, want: errEndless},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := io.Pipe()
				c := newClient(t, Options{Indexes: []*url.URL{{Scheme: "http", Host: "index.example"}}, Transport: transport{r}})
				done := make(chan struct{})
				go func() {
					defer close(done)
					page := strings.Repeat(" ", tc.bytes) + `{"files": []}`
					for i := range page {
						if i > 0 && i < tc.bytes {
							<-time.After(time.Duration(tc.pause) * time.Second)
						}
						if _, err := w.Write([]byte(page[i : i+1])); err != nil {
							return
						}
					}
					w.Close()
				}()
				rec := httptest.NewRecorder()
				c.g.ServeHTTP(rec, httptest.NewRequest("GET", "/simple/p/", nil))
				err := c.g.Fault()
				if tc.want == nil && err != nil || tc.want != nil && !errors.Is(err, tc.want) {
					t.Errorf("%d, %v", rec.Code, err)
				}
				r.Close()
				<-done
			})
		})
	}
}

func FuzzPackument(f *testing.F) {
	f.Add(`{"name":"a","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"dist":{"tarball":"https://x/a.tgz","integrity":"sha512-x"},"bin":{"a":"b"}}}}`)
	f.Add(`{"versions":{"1.0.0":{"dist":{"tarball":"../a"}},"1.0.0":{"dist":{"tarball":"//y"},"scripts":{"install":"x"}}}}`)
	base, _ := url.Parse("https://registry.example/a")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePackument(strings.NewReader(text), base)
		if err != nil {
			return
		}
		if len(p.Versions) == 0 {
			t.Error("a page without versions")
		}
		for version, v := range p.Versions {
			if v.file == nil || !validVersion(version) {
				t.Errorf("%q: %+v", version, v)
			}
		}
		content, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parsePackument(strings.NewReader(string(content)), base); err != nil || len(again.Versions) != len(p.Versions) {
			t.Errorf("what is written cannot be read: %v", err)
		}
	})
}
