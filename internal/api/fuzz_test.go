package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/auth"
)

// changing is a service that is another one for each request.
type changing struct{ Service }

// target is an API whose service is new for each request.
type target struct {
	api     *API
	service *changing
}

func newTarget(tb testing.TB, change ...func(*Options)) target {
	o := newRig(tb, append(change, withMCP)...).options
	s := &changing{}
	return target{New(o, s), s}
}

// parse makes a request of what a stranger sent, if net/http would take it.
func parse(method, uri, headers string, body io.Reader) (*http.Request, bool) {
	token := regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	u, err := url.ParseRequestURI(uri)
	if err != nil || !token.MatchString(method) || strings.ContainsAny(uri, " \r\n") {
		return nil, false
	}
	r := httptest.NewRequest("GET", "/", body)
	r.Method, r.URL, r.RequestURI, r.Host = method, u, uri, "localhost:8000"
	r.Header.Set("Content-Type", "application/json")
	replaced := map[string]bool{}
	for line := range strings.SplitSeq(headers, "\n") {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch name = http.CanonicalHeaderKey(name); {
		case !ok || !token.MatchString(name) || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		case name == "Host":
			r.Host = value
		case name == "Content-Type" && !replaced[name]:
			replaced[name] = true
			r.Header.Set(name, value)
		default:
			r.Header.Add(name, value)
		}
	}
	return r, true
}

// hit sends a request and wants an answer that nobody has to be ashamed of.
func (a target) hit(t *testing.T, r *http.Request) {
	f := newFake()
	f.furnish()
	a.service.Service = f
	w := httptest.NewRecorder()
	a.api.ServeHTTP(w, r)
	checkHeaders(t, w)
	if w.Code >= 500 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if changes := f.changedSince(0); w.Code >= 300 && len(changes) > 0 {
		t.Fatalf("%d, and yet %v", w.Code, changes)
	}
	if w.Code >= 400 && r.Method != http.MethodHead {
		checkDetail(t, w)
	}
	if route, _ := a.api.router.match(r); route != nil && !route.hidden && !documented(route, w.Code) {
		t.Fatalf("%d is not documented for %s %s: %s", w.Code, route.method, route.pattern, w.Body)
	}
	if w.Code == http.StatusOK && w.Header().Get("Content-Type") == "application/json" && r.Method != http.MethodHead && !json.Valid(w.Body.Bytes()) {
		t.Fatalf("not JSON: %s", w.Body)
	}
}

// checkDetail wants an error that says what is wrong.
func checkDetail(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var text struct{ Detail string }
	var list struct {
		Detail []struct {
			Type, Msg string
			Loc       []any
			Input     json.RawMessage
		}
	}
	body := w.Body.Bytes()
	if w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d is of type %s", w.Code, w.Header().Get("Content-Type"))
	}
	if json.Unmarshal(body, &text) == nil && text.Detail != "" {
		return
	}
	if err := json.Unmarshal(body, &list); err != nil || len(list.Detail) == 0 || len(list.Detail) > schema.MaxProblems || w.Code != http.StatusUnprocessableEntity {
		t.Fatalf("%d: %s, %v", w.Code, body, err)
	}
	for _, p := range list.Detail {
		if p.Type == "" || p.Msg == "" || len(p.Loc) == 0 || p.Input == nil {
			t.Fatalf("%s", body)
		}
	}
}

func FuzzRoutes(f *testing.F) {
	for route, s := range samples() {
		method, _, _ := strings.Cut(route, " ")
		headers := ""
		if s.form {
			headers = isForm()
		}
		f.Add(method, s.target, headers, []byte(s.body), false)
		if s.query != "" {
			f.Add(method, s.target+s.query, headers, []byte(s.body), true)
		}
	}
	for _, b := range append(bodies(), requests()...) {
		if len(b.body) < 4096 {
			f.Add(or(b.method, "POST"), or(b.target, "/execute"), strings.Join(b.headers, "\n"), []byte(b.body), false)
		}
	}
	f.Add("GET", "/jobs/job/artifacts/sub/a.csv", "Range: bytes=1-2,4-\nIf-Range: \"x\"", []byte{}, false)
	f.Add("GET", "/jobs/job/events?follow=0", "Last-Event-ID: 3\nX-Correlation-ID: é", []byte{}, false)
	f.Add("POST", "/execute", "X-API-Key: "+configuredKey, []byte(simple), true)
	f.Add("POST", "/execute", "Authorization: Bearer "+configuredKey+"\nContent-Type: text/plain\nOrigin: null\nHost: x", []byte(simple), true)
	f.Add("OPTIONS", "*", "", []byte{}, false)
	f.Add("CONNECT", "/docs/..%2fkeys", "X-Forwarded-For: 1.2.3.4, ::1", []byte{}, false)
	small := func(o *Options) { o.MaxPayloadBytes, o.MaxUploadBytes = 1<<16, 1<<17 }
	open := newTarget(f, small)
	locked := newTarget(f, small, func(o *Options) { o.Auth = auth.New(auth.Options{Configured: []string{configuredKey}}) })
	f.Fuzz(func(t *testing.T, method, uri, headers string, body []byte, chunked bool) {
		for _, to := range []target{open, locked} {
			var content io.Reader = bytes.NewReader(body)
			if chunked {
				content = io.MultiReader(content)
			}
			r, ok := parse(method, uri, headers, content)
			if !ok {
				t.Skip()
			}
			to.hit(t, r)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, b := range badForms() {
		if len(b.body) < 4096 {
			f.Add([]byte(b.body), b.target == "/uploads")
		}
	}
	f.Add([]byte(form(sent("a/b", "x"), ask(`{"code":"x","files":[{"path":"c","text":""}]}`))), false)
	f.Add([]byte(form(sent("a", "x"))), true)
	open := newTarget(f)
	f.Fuzz(func(t *testing.T, body []byte, upload bool) {
		uri := "/execute"
		if upload {
			uri = "/uploads"
		}
		r, _ := parse("POST", uri, isForm(), bytes.NewReader(body))
		open.hit(t, r)
		for _, s := range open.service.Service.(*fake).submissions {
			checkSubmission(t, s)
		}
	})
}

// checkSubmission wants what a Service may rely on.
func checkSubmission(t *testing.T, s Submission) {
	t.Helper()
	var paths []string
	for _, file := range s.Files {
		if msg := pathProblem(file.Path); msg != "" {
			t.Errorf("%q: %s", file.Path, msg)
		}
		paths = append(paths, file.Path)
	}
	if msg := pathsProblem(paths); msg != "" || len(paths) > maxFiles {
		t.Errorf("%d files, %s", len(paths), msg)
	}
	r := &s.Request
	if r.Code == "" || !json.Valid(r.Input) || r.Priority < 1 || r.Priority > 4 || r.Retry == "" || s.CorrelationID == "" {
		t.Errorf("%+v", s)
	}
}
