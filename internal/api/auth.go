package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/job"
)

// authenticate answers who makes the request; known is false for nobody. It
// rejects nothing: the rate limit comes first.
func (a *API) authenticate(r *http.Request) (p job.Principal, known bool, err error) {
	if a.options.Auth == nil {
		return auth.Anonymous(), true, nil
	}
	p, err = a.options.Auth.Authenticate(r.Context(), r.Header)
	if errors.Is(err, auth.ErrUnauthenticated) {
		return job.Principal{}, false, nil
	}
	if err != nil {
		return job.Principal{}, false, fmt.Errorf("asking who makes the request: %w", err)
	}
	return p, true, nil
}

func unauthorized() error {
	return &statusError{status: http.StatusUnauthorized, detail: "Missing or invalid API key.",
		header: http.Header{"Www-Authenticate": {"Bearer"}}}
}

// checkRate counts a request for its key, or for its address where it has none.
func (c *call) checkRate() error {
	if c.api.limiter == nil {
		return nil
	}
	ok, wait := c.api.limiter.Allow(auth.LimitKey(c.principal, c.client))
	if ok {
		return nil
	}
	return &statusError{status: http.StatusTooManyRequests, detail: "Rate limit exceeded. Try again later.",
		header: http.Header{"Retry-After": {fmt.Sprint(int(wait / time.Second))}}}
}
