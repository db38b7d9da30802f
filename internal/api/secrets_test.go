package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	g := newRig(t)
	w := g.expect(http.StatusOK, "PUT", "/secrets/API_KEY", `{"value":"sk-0123456789"}`)
	if want := `{"name":"API_KEY","changed_at":"1970-01-01T00:00:01+00:00"}`; strings.TrimSpace(w.Body.String()) != want || g.service.secrets["API_KEY"] != "sk-0123456789" {
		t.Errorf("%s, stored %q", w.Body, g.service.secrets)
	}
	if w := g.expect(http.StatusOK, "GET", "/secrets", ""); !strings.Contains(w.Body.String(), `[{"name":"API_KEY"`) || strings.Contains(w.Body.String(), "sk-") {
		t.Errorf("%s", w.Body)
	}
	for body, name := range map[string]string{`{}`: "A", `{"value":5}`: "A", `{"value":"sk-0123456789"}`: "a-b", `[]`: "A",
		`"sk-0123456789"`: "A", `{"val":"sk-0123456789"}`: "A", `{"value":["sk-0123456789"]}`: "A", `["sk-0123456789"]`: "A",
		`{"value":"sk-0123456789","other":"sk-0123456789"}`: "A", `sk-0123456789`: "A"} {
		if w := g.expect(http.StatusUnprocessableEntity, "PUT", "/secrets/"+name, body); strings.Contains(w.Body.String(), "sk-") {
			t.Errorf("%s", w.Body)
		}
	}
	g.expect(http.StatusOK, "DELETE", "/secrets/API_KEY", "")
	if w := g.expect(http.StatusNotFound, "DELETE", "/secrets/API_KEY", ""); !strings.Contains(w.Body.String(), "there is no secret") {
		t.Errorf("%s", w.Body)
	}
}

// A binding that cannot be is refused with the part that is wrong.
func TestBindings(t *testing.T) {
	g := newRig(t)
	for binding, want := range map[string]string{
		`{"name":"A"}`:                                    "Field required",
		`{"name":"A-B","host":"a.example"}`:               "name must be a variable's name",
		`{"name":"A","host":"*.example"}`:                 "host must be one host name",
		`{"name":"A","host":"a.example","header":"Host"}`: "header must be",
	} {
		w := g.expect(http.StatusUnprocessableEntity, "POST", "/job-types/t", `{"network":{"mode":"public"},"secrets":[`+binding+`]}`)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", binding, w.Code, w.Body)
		}
	}
}
