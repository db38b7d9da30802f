package api

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

const correlationHeader = "X-Correlation-ID"

// correlationID takes the caller's id if it is 1 to 64 printable ASCII
// characters. Tako VM echoed anything and failed later where it did not fit;
// here what does not fit is replaced by a fresh UUID.
func correlationID(r *http.Request) string {
	id := r.Header.Get(correlationHeader)
	if id == "" || len(id) > 64 {
		return newUUID()
	}
	for _, c := range []byte(id) {
		if c < ' ' || c > '~' {
			return newUUID()
		}
	}
	return id
}

// newUUID makes a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// setSecurityHeaders goes before everything else, so that no answer lacks them.
// Nothing that the API answers is a document; the pages of /docs set a policy of
// their own.
func setSecurityHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-XSS-Protection", "1; mode=block")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
