package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

// rig is an API over a fake.
type rig struct {
	*API
	service *fake
	tb      testing.TB
}

// newRig makes one that asks nobody who they are, limits no rates and listens on
// loopback, unless change says otherwise. Its clock stands at epoch.
func newRig(tb testing.TB, change ...func(*Options)) *rig {
	tb.Helper()
	o := Options{
		Version: "dev", MaxPayloadBytes: 2 << 20, MaxUploadBytes: 4 << 20, MaxInputBytes: 1 << 20, MaxCodeBytes: 100 << 10, MaxTimeout: 300,
		Loopback: true, Now: epoch,
	}
	for _, f := range change {
		f(&o)
	}
	f := newFake()
	return &rig{New(o, f), f, tb}
}

// correlation is the id that rigs send.
const correlation = "a-correlation-id"

// request is one to send; a line of headers is "Name: value".
func request(method, target string, body io.Reader, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Host = "localhost:8000"
	r.Header.Set(correlationHeader, correlation)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); {
		case name == "Host":
			r.Host = value
		case r.Header.Get(name) == "" || name == correlationHeader:
			r.Header.Set(name, value)
		default:
			r.Header.Add(name, value)
		}
	}
	return r
}

// send sends a request; a body is JSON unless a header says otherwise.
func (g *rig) send(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	g.tb.Helper()
	isType := func(line string) bool { return strings.HasPrefix(line, "Content-Type:") }
	if body != "" && !slices.ContainsFunc(headers, isType) {
		headers = append(headers, "Content-Type: application/json")
	}
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, request(method, target, content, headers...))
	checkHeaders(g.tb, w)
	return w
}

// expect sends a request and wants that status.
func (g *rig) expect(status int, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	g.tb.Helper()
	w := g.send(method, target, body, headers...)
	if w.Code != status {
		g.tb.Fatalf("%s %.200s: status %d, want %d: %.500s", method, target, w.Code, status, w.Body)
	}
	return w
}

// object sends a request that is answered with 200 and a JSON object.
func (g *rig) object(method, target, body string, headers ...string) map[string]any {
	g.tb.Helper()
	w := g.expect(http.StatusOK, method, target, body, headers...)
	var o map[string]any
	if err := json.Unmarshal(exact(w.Body.Bytes()), &o); err != nil {
		g.tb.Fatalf("%s %s: %v: %.500s", method, target, err, w.Body)
	}
	return o
}

// checkHeaders wants what every answer carries.
func checkHeaders(tb testing.TB, w *httptest.ResponseRecorder) {
	tb.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "X-XSS-Protection": "1; mode=block",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); got != want {
			tb.Errorf("%s is %q", name, got)
		}
	}
	for _, name := range []string{"Content-Security-Policy", correlationHeader} {
		if w.Header().Get(name) == "" {
			tb.Errorf("there is no %s", name)
		}
	}
	if w.Header().Get("Cache-Control") == "" && w.Code < 400 {
		tb.Error("there is no Cache-Control")
	}
}

// unchanged wants that nothing was stored, changed or removed.
func (g *rig) unchanged() {
	g.tb.Helper()
	if c := g.service.changedSince(0); len(c) > 0 {
		g.tb.Errorf("something was stored: %v", c)
	}
}

// detail is the body of an error as route code answers it.
func detail(text string) string {
	return `{"detail":` + string(asText([]byte(text))) + `,"correlation_id":"` + correlation + `"}`
}

// ended is a record that succeeded.
func ended(id string) job.Record {
	zero := 0
	return job.Record{
		ID: id, Status: job.Succeeded, CreatedAt: epoch(), StartedAt: epoch().Add(time.Second), EndedAt: epoch().Add(3 * time.Second),
		Request: job.Request{Code: "print(1)", Language: "python"}, Outcome: job.Outcome{ExitCode: &zero, Stdout: "1\n"},
	}
}
