package tako_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"testing"

	tako "github.com/takovm/tako/sdk/go"
)

type exchange struct {
	Name, Call string
	Args       struct {
		ID      string
		Request tako.ExecuteRequest
	}
	Request struct {
		Method, Path string
		Query        map[string]string
		Body         map[string]any
	}
	Answer struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
		Raw     string
	}
	Error *struct {
		Kind, Message string
		Status        int
		CorrelationID string `json:"correlation_id"`
	}
}

// TestExchanges runs the vectors that all clients share.
func TestExchanges(t *testing.T) {
	text, err := os.ReadFile("../../test/vectors/exchanges.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) { x.run(t) })
	}
}

func (x exchange) run(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.check(t, r)
		for name, value := range x.Answer.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(x.Answer.Status)
		_, _ = io.WriteString(w, string(x.Answer.Body)+x.Answer.Raw)
	}))
	defer s.Close()
	c, err := tako.New(s.URL, tako.Options{})
	if err != nil {
		t.Fatal(err)
	}
	switch x.Call {
	case "submit":
		_, err = c.Submit(t.Context(), x.Args.Request)
	case "status":
		_, err = c.Status(t.Context(), x.Args.ID)
	case "result":
		_, err = c.Result(t.Context(), x.Args.ID, 0)
	case "cancel":
		_, err = c.Cancel(t.Context(), x.Args.ID)
	default:
		t.Fatalf("no call %q", x.Call)
	}
	if x.Error == nil {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	kinds := map[string]error{"not_found": tako.ErrNotFound, "unauthorized": tako.ErrUnauthorized, "forbidden": tako.ErrForbidden,
		"invalid": tako.ErrInvalid, "rate_limited": tako.ErrRateLimited, "conflict": tako.ErrConflict, "malformed": tako.ErrMalformed}
	var e *tako.Error
	if !errors.As(err, &e) || kinds[x.Error.Kind] == nil || !errors.Is(err, kinds[x.Error.Kind]) || e.Status != x.Error.Status ||
		e.CorrelationID != x.Error.CorrelationID || x.Error.Message != "" && e.Detail != x.Error.Message {
		t.Fatalf("error %v, want %+v", err, *x.Error)
	}
}

func (x exchange) check(t *testing.T, r *http.Request) {
	query := url.Values{}
	for name, value := range x.Request.Query {
		query.Set(name, value)
	}
	if r.Method != x.Request.Method || r.URL.EscapedPath() != x.Request.Path || r.URL.Query().Encode() != query.Encode() {
		t.Errorf("request %s %s, want %+v", r.Method, r.URL, x.Request)
	}
	text, _ := io.ReadAll(r.Body)
	var body map[string]any
	if len(text) > 0 && json.Unmarshal(text, &body) != nil || !reflect.DeepEqual(body, x.Request.Body) {
		t.Errorf("body %s, want %v", text, x.Request.Body)
	}
}
