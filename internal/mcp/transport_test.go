package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	tako "github.com/takovm/tako/sdk/go"
)

// caller is the request that another one is made for.
func caller() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://tako.example/mcp", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer theirs")
	r.Header.Set("Cookie", "theirs")
	return r
}

func get(t *testing.T, ctx context.Context, api http.HandlerFunc) (*http.Response, error) {
	t.Helper()
	c := &http.Client{Transport: &Transport{API: api, For: caller(), Headers: []string{"Authorization"}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://somewhere/jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(r)
}

// A request is made as its caller would make it: address, host, and of the
// headers those that say who it is.
func TestTransportIsTheCaller(t *testing.T) {
	res, err := get(t, t.Context(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Here", "yes")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %q %q", r.Host, r.RemoteAddr, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Cookie"))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if want := `tako.example 192.0.2.7:1234 /jobs "Bearer theirs" ""`; string(body) != want || err != nil || res.StatusCode != http.StatusTeapot || res.Header.Get("X-Here") != "yes" {
		t.Errorf("%d %q, %v", res.StatusCode, body, err)
	}
}

// An answer that is cut is no whole answer, and one that never began is an error
// of the server.
func TestTransportCut(t *testing.T) {
	res, err := get(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half of")
		panic(http.ErrAbortHandler)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != "half of" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", body, err)
	}
	res, err = get(t, t.Context(), func(http.ResponseWriter, *http.Request) { panic("a defect") })
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", res.StatusCode)
	}
}

// Who does not wait any more gets an error, and the API's writes fail.
func TestTransportCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun, wrote := make(chan struct{}), make(chan error, 1)
	go func() { <-begun; cancel() }()
	_, err := get(t, ctx, func(w http.ResponseWriter, r *http.Request) { //nolint:bodyclose // there is none
		close(begun)
		<-r.Context().Done()
		for i := 0; i < 3; i++ {
			if _, err := w.Write([]byte("late")); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-wrote; err == nil {
		t.Error("its writes went somewhere")
	}
}

// Whatever a record holds, what is shown of it is bounded and can be encoded.
func FuzzShow(f *testing.F) {
	f.Add("out", "err", []byte(`{"a":1}`), "a.png")
	f.Add(strings.Repeat("ä", maxText), "\xff\xfe", []byte(`"`+strings.Repeat("x", maxText)+`"`), "../../etc/passwd")
	f.Fuzz(func(t *testing.T, stdout, stderr string, output []byte, name string) {
		r := &tako.FullRecord{}
		r.Stdout, r.Stderr, r.Output = stdout, stderr, output
		r.Artifacts, r.Error = []tako.Artifact{{Name: name, SizeBytes: 1}}, &tako.Failure{Message: stderr}
		if !json.Valid(output) {
			r.Output = nil
		}
		e := show(r)
		if len(e.Stdout) > maxText || len(e.Stderr) > maxText || utf8.ValidString(stdout) && !utf8.ValidString(e.Stdout) {
			t.Errorf("%d and %d bytes are shown", len(e.Stdout), len(e.Stderr))
		}
		if _, err := json.Marshal(e); err != nil {
			t.Error(err)
		}
	})
}

// Files come as text or in base64, which the server decodes; a tool passes on
// what it is given.
func TestRequestKeepsFiles(t *testing.T) {
	text, bytes := "a", base64.StdEncoding.EncodeToString([]byte{0, 0xff})
	in := runInput{Code: "x", Files: []fileInput{{Path: "a", Content: &text}, {Path: "../b", Base64: &bytes}, {Path: "c", Artifact: "id/c"}},
		Network: &networkInput{Mode: "none"}, Memory: "1g", Stdin: &text, Labels: map[string]string{"a": "b"}}
	r, err := in.request(json.RawMessage(`{}`))
	if err != nil || len(r.Files) != 3 || r.Files[2].Artifact != "id/c" || r.Limits.Memory != "1g" || *r.Stdin != "a" || r.Labels["a"] != "b" || *r.Files[0].Text != "a" || *r.Files[1].Content != bytes || r.Files[1].Path != "../b" || r.Network.Mode != "none" || r.Timeout != nil {
		t.Errorf("%+v, %v", r, err)
	}
	for _, wrong := range []fileInput{{Path: "a"}, {Path: "a", Content: &text, Artifact: "id/c"}} {
		in := runInput{Code: "x", Files: []fileInput{wrong}}
		if _, err := in.request(json.RawMessage(`{}`)); err == nil || !strings.Contains(err.Error(), `"a" has`) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}
