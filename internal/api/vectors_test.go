package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/test/vectors"
)

const exchangesFile = "../../test/vectors/exchanges.json"

func exchanges(t *testing.T) []vectors.Exchange {
	t.Helper()
	all, err := vectors.Read[vectors.Exchange](exchangesFile)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestExchanges holds the answers that clients are tested with against those that
// this server gives. With -update it writes what the server says into the file.
func TestExchanges(t *testing.T) {
	all := exchanges(t)
	for i := range all {
		x := &all[i]
		t.Run(x.Name, func(t *testing.T) {
			if x.Ours() {
				asked(t, x)
			}
		})
	}
	if !*update {
		return
	}
	if err := vectors.WriteExchanges(exchangesFile, all); err != nil {
		t.Fatal(err)
	}
}

// asked sends a vector's request and compares what comes with its answer.
func asked(t *testing.T, x *vectors.Exchange) {
	handler, err := given(t, x.Given)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, requestOf(x))
	got := answerOf(w)
	if diff := differ(t, x, got); diff != "" && !*update {
		t.Errorf("-vector +server:\n%s", diff)
	} else if diff != "" {
		x.Answer = got
	}
	if (x.Answer.Status < 300) != (x.Error == nil) {
		t.Errorf("the status %d does not go with the error %+v", x.Answer.Status, x.Error)
	}
	if x.Error == nil {
		return
	}
	said := failureOf(t, x)
	if diff := cmp.Diff(x.Error, said); diff != "" && !*update {
		t.Errorf("-error +what the answer says:\n%s", diff)
	}
	x.Error = said
}

// differ compares an answer with the vector's, but for what is not the same twice.
func differ(t *testing.T, x *vectors.Exchange, got vectors.Answer) string {
	want := x.Answer
	for _, name := range x.Varies {
		hide(t, name, &got)
		hide(t, name, &want)
	}
	bodies := cmp.Diff(valueOf(t, want.Body), valueOf(t, got.Body))
	want.Body, got.Body = nil, nil
	return cmp.Diff(want, got) + bodies
}

// requestOf is a vector's request as it arrives: with what was put in on the way.
func requestOf(x *vectors.Exchange) *http.Request {
	q, body := x.Request, x.Request.Body
	if q.Form != nil {
		body = []byte(formOf(q.Form))
	}
	query := url.Values{}
	for name, value := range q.Query {
		query.Set(name, value)
	}
	r := httptest.NewRequest(q.Method, q.Path+"?"+query.Encode(), bytes.NewReader(body))
	r.Host = "localhost:8000"
	if q.Form != nil {
		r.Header.Set("Content-Type", strings.TrimPrefix(isForm(), "Content-Type: "))
	}
	for _, headers := range []map[string]string{q.Headers, x.Beside} {
		for name, value := range headers {
			r.Header.Set(name, value)
		}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return r
}

func formOf(parts []vectors.Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(part(`name="`+p.Name+`"; filename="`+p.Filename+"\"\r\nContent-Type: "+p.ContentType, p.Content))
	}
	return b.String() + form()
}

// shownHeaders are those that clients read.
func shownHeaders() []string {
	return []string{"Content-Type", correlationHeader, "Retry-After", "Location", "ETag", "WWW-Authenticate"}
}

func answerOf(w *httptest.ResponseRecorder) vectors.Answer {
	a := vectors.Answer{Status: w.Code, Headers: map[string]string{}}
	for _, name := range shownHeaders() {
		if value := w.Header().Get(name); value != "" {
			a.Headers[name] = value
		}
	}
	switch body := w.Body.Bytes(); {
	case a.Headers["Content-Type"] == "application/json":
		a.Body = body
	case a.Headers["Content-Type"] == "application/zip":
		a.Binary = body
	default:
		a.Raw = string(body)
	}
	return a
}

// hide takes a field or header out of an answer that is not the same twice. It
// has to be there.
func hide(t *testing.T, name string, a *vectors.Answer) {
	t.Helper()
	if key := textproto.CanonicalMIMEHeaderKey(name); a.Headers[name] != "" || key == name {
		if a.Headers[name] == "" {
			t.Errorf("there is no header %s", name)
		}
		a.Headers = maps.Clone(a.Headers)
		a.Headers[name] = "any"
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(a.Body, &fields); err != nil || len(fields[name]) < len(`"x"`) {
		t.Errorf("there is no %s in %s", name, a.Body)
		return
	}
	fields[name] = json.RawMessage(`"any"`)
	a.Body, _ = json.Marshal(fields) // of what was JSON
}

// valueOf is JSON as a value; its numbers stay as they are written.
func valueOf(t *testing.T, doc []byte) (v any) {
	t.Helper()
	if len(doc) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Errorf("%v: %s", err, doc)
	}
	return v
}

// TestExchangesAreComplete: there is no route that no client is tested with.
func TestExchangesAreComplete(t *testing.T) {
	a := furnished(t).API
	met := map[string]bool{}
	for _, x := range exchanges(t) {
		if r, err := a.router.match(requestOf(&x)); err == nil && x.Ours() && x.Error == nil {
			met[r.method+" "+r.pattern] = true
		}
	}
	// They are for browsers.
	pages := []string{"HEAD /jobs/{job_id}/artifacts/{name...}"}
	for _, r := range a.pageRoutes() {
		pages = append(pages, r.method+" "+r.pattern)
	}
	for _, r := range a.routes() {
		if name := r.method + " " + r.pattern; !r.hidden && !met[name] && !slices.Contains(pages, name) {
			t.Errorf("no exchange goes well with %s", name)
		}
	}
}
