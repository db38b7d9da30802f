package api

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Requests of all routes at once, for the race detector: what an API makes when
// it is first asked for is made once.
func TestTogether(t *testing.T) {
	g := furnished(t, withMCP, func(o *Options) { o.RateLimit, o.RateRequests = true, 10_000 })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for route, s := range samples() {
				method, _, _ := strings.Cut(route, " ")
				contentType := "Content-Type: application/json"
				if s.form {
					contentType = isForm()
				}
				w := httptest.NewRecorder()
				g.ServeHTTP(w, request(method, s.target+s.query, strings.NewReader(s.body), contentType))
				if w.Code >= 500 {
					t.Errorf("%s: %d %s", route, w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
}
