package api

import (
	"net/http"
	"sync"

	"github.com/takovm/tako/internal/job"
)

// pageRoutes are what is read in a browser, and the document.
func (a *API) pageRoutes() []route {
	page := sync.OnceValue(a.docsPage)
	docs := func(c *call) error {
		c.w.Header().Set("Content-Security-Policy", docsPolicy())
		c.send(http.StatusOK, "text/html; charset=utf-8", page())
		return nil
	}
	return []route{
		{method: "GET", pattern: "/{$}", scope: job.ScopeRead, hidden: true, handle: (*call).home},
		{method: "GET", pattern: "/docs", open: true, hidden: true, handle: docs},
		{method: "GET", pattern: "/docs/oauth2-redirect", open: true, hidden: true, handle: docs}, // FastAPI has a page there
		{method: "GET", pattern: "/redoc", open: true, hidden: true, handle: docs},
		{method: "GET", pattern: "/openapi.json", open: true, hidden: true, handle: (*call).openAPI},
	}
}

func (c *call) home() error {
	return &statusError{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {"/docs"}}}
}

func (c *call) openAPI() error {
	body, err := c.api.document()
	if err != nil {
		return err
	}
	c.send(http.StatusOK, "application/json", body)
	return nil
}
