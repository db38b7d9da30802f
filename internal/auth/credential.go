package auth

import (
	"net/http"
	"strings"
)

// DefaultHeader carries the key unless the configuration names another.
const DefaultHeader = "X-API-Key"

// credential answers what a request presents as its key; nothing when it
// presents none. The configured header decides where it is there, even empty;
// otherwise "Authorization: Bearer" does. (The contract lets the first of the
// two decide; net/http does not keep their order.) Only the first value of a
// header counts.
func credential(h http.Header, header string) string {
	if values := h.Values(header); len(values) > 0 {
		if text, ok := bearer(values[0]); ok && http.CanonicalHeaderKey(header) == "Authorization" {
			return text
		}
		return strings.TrimSpace(values[0])
	}
	text, _ := bearer(h.Get("Authorization"))
	return text
}

// bearer takes the value of an Authorization header apart. The scheme is
// written in any case.
func bearer(value string) (text string, ok bool) {
	scheme, text, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(text), true
}
