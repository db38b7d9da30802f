package tako_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	tako "github.com/takovm/tako/sdk/go"
	"github.com/takovm/tako/test/vectors"
)

// TestExchanges runs the vectors that all clients and the server share.
func TestExchanges(t *testing.T) {
	all, err := vectors.Read[vectors.Exchange]("../../test/vectors/exchanges.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) { exchange(t, x) })
	}
}

func exchange(t *testing.T, x vectors.Exchange) {
	seen := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen++
		compare(t, r, x.Request)
		reply(w, x.Answer)
	}))
	defer s.Close()
	c, err := tako.New(s.URL, tako.Options{APIKey: x.Client.APIKey, CorrelationID: x.Client.CorrelationID, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	known := calls()[x.Call]
	if known == nil {
		t.Fatalf("no call %q", x.Call)
	}
	var a args
	if err := json.Unmarshal(x.Args, &a); err != nil {
		t.Fatal(err)
	}
	got, err := known(t.Context(), c, a)
	if seen == 0 {
		t.Error("there was no request")
	}
	if x.Error != nil {
		compareError(t, err, x.Error, x.Answer)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	compareValue(t, got, x)
}

// reply gives a vector's answer.
func reply(w http.ResponseWriter, a vectors.Answer) {
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	body := a.Bytes()
	if a.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+10))
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(body)
	if a.Cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// compare holds a request against that of a vector.
func compare(t *testing.T, r *http.Request, want vectors.Request) {
	t.Helper()
	if r.Method != want.Method || r.URL.EscapedPath() != want.Path {
		t.Errorf("request %s %s, want %s %s", r.Method, r.URL.EscapedPath(), want.Method, want.Path)
	}
	query := url.Values{}
	for name, value := range want.Query {
		query.Set(name, value)
	}
	if diff := cmp.Diff(numbers(query), numbers(r.URL.Query())); diff != "" {
		t.Errorf("query -want +got:\n%s", diff)
	}
	compareHeaders(t, r.Header, want.Headers)
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if want.Form != nil {
		compareForm(t, r.Header.Get("Content-Type"), text, want.Form)
		return
	}
	if diff := cmp.Diff(valueOf(t, want.Body), valueOf(t, text)); diff != "" {
		t.Errorf("body -want +got:\n%s", diff)
	}
}

// compareHeaders wants those that are listed; an empty one must not be there,
// and no key where none is listed.
func compareHeaders(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got.Get(name), value)
		}
	}
	for _, name := range []string{"Authorization", "X-API-Key"} {
		if got.Get(name) != want[name] {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want[name])
		}
	}
}

// numbers are values where 1 and 1.000 are the same.
func numbers(q url.Values) map[string]any {
	out := map[string]any{}
	for name, values := range q {
		if f, err := strconv.ParseFloat(values[0], 64); err == nil && len(values) == 1 {
			out[name] = f
			continue
		}
		out[name] = values
	}
	return out
}

func compareForm(t *testing.T, contentType string, body []byte, want []vectors.Part) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		t.Errorf("the form is of type %q: %v", contentType, err)
		return
	}
	var got []vectors.Part
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Error(err)
			return
		}
		content, err := io.ReadAll(p)
		if err != nil {
			t.Error(err)
		}
		got = append(got, vectors.Part{Name: p.FormName(), Filename: p.FileName(), ContentType: p.Header.Get("Content-Type"), Content: string(content)})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the form has %+v, want %+v", got, want)
	}
}

// compareError holds what a caller is told against a vector's error.
func compareError(t *testing.T, err error, want *vectors.Failure, a vectors.Answer) {
	t.Helper()
	kinds := map[string]error{
		"unreachable": tako.ErrUnreachable, "unsupported": tako.ErrUnsupported, "malformed": tako.ErrMalformed, "invalid": tako.ErrInvalid, "unauthorized": tako.ErrUnauthorized,
		"forbidden": tako.ErrForbidden, "not_found": tako.ErrNotFound, "timeout": tako.ErrTimeout, "conflict": tako.ErrConflict,
		"rate_limited": tako.ErrRateLimited, "unavailable": tako.ErrUnavailable, "server": tako.ErrServer,
	}
	var e *tako.Error
	if !errors.As(err, &e) || kinds[want.Kind] == nil || !errors.Is(err, kinds[want.Kind]) {
		t.Fatalf("error %v, want %+v", err, *want)
	}
	if e.Status != want.Status || e.RetryAfter != time.Duration(want.RetryAfter)*time.Second ||
		want.CorrelationID != "" && e.CorrelationID != want.CorrelationID || want.Message != "" && e.Detail != want.Message {
		t.Errorf("error %+v, want %+v", *e, *want)
	}
	var body struct{ Detail []tako.Problem }
	if json.Unmarshal(a.Body, &body) == nil && !reflect.DeepEqual(e.Problems, body.Detail) {
		t.Errorf("problems %+v, want %+v", e.Problems, body.Detail)
	}
}

// compareValue holds what a caller is given against an answer.
func compareValue(t *testing.T, got any, x vectors.Exchange) {
	t.Helper()
	switch got := got.(type) {
	case nothing:
	case []byte:
		if want := x.Answer.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	case []tako.Event:
		var text string
		for _, e := range got {
			text += fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Type, e.Data)
		}
		if text != x.Answer.Raw {
			t.Errorf("events %s, want %s", text, x.Answer.Raw)
		}
	default:
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(valueOf(t, x.Answer.Body), valueOf(t, text)); diff != "" {
			t.Errorf("value -want +got:\n%s", diff)
		}
	}
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
