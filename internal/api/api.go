package api

import (
	"errors"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/trace"
)

// API answers HTTP. It has no life of its own: no goroutine outlives a request.
type API struct {
	options  Options
	service  Service
	tables   *tables
	router   *router
	limiter  *auth.Limiter          // nil limits nothing
	document func() ([]byte, error) // the OpenAPI document as JSON
}

// New makes the API of a service.
func New(o Options, s Service) *API {
	o = o.withDefaults()
	a := &API{options: o, service: s, tables: newTables(o)}
	if o.RateLimit {
		a.limiter = auth.NewLimiter(auth.LimitOptions{Requests: o.RateRequests, Window: o.RateWindow, Now: o.Now})
	}
	a.router = newRouter(a.routes())
	a.document = sync.OnceValues(func() ([]byte, error) { return encode(a.openAPI()) })
	return a
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &writer{ResponseWriter: w}
	c := &call{api: a, w: out, r: r, correlationID: correlationID(r), client: a.options.Proxies.Client(r.RemoteAddr, r.Header)}
	began := time.Now()
	ctx, span := a.options.Tracer.Start(trace.Extract(r.Context(), r.Header), "request", trace.Server)
	if span != nil {
		c.r = r.WithContext(ctx)
	}
	defer func() { c.answered(out.status, time.Since(began), span) }()
	setSecurityHeaders(w.Header())
	w.Header().Set(correlationHeader, c.correlationID)
	defer c.recover()
	if err := c.serve(); err != nil {
		if out.began() {
			c.cutOff(err)
		}
		c.refuse(err)
	}
}

// cutOff ends an answer that has begun so that the client sees that it is not
// whole. That a client is gone is no news.
func (c *call) cutOff(err error) {
	level := slog.LevelWarn
	if c.r.Context().Err() != nil {
		level = slog.LevelDebug
	}
	c.api.options.Log.Log(c.r.Context(), level, "answer cut off", "correlation_id", c.correlationID,
		"method", c.r.Method, "path", c.r.URL.Path, "error", err)
	panic(http.ErrAbortHandler)
}

// answered counts a request and logs it: at level info what does something, at
// debug what only looks.
func (c *call) answered(status int, took time.Duration, span *trace.Span) {
	o := &c.api.options
	span.Rename(c.r.Method + " " + c.pattern())
	span.Set("http.response.status_code", int64(status))
	span.Set("tako.correlation_id", c.correlationID)
	span.End(status == 0 || status >= 500)
	if o.Observe != nil {
		o.Observe(c.pattern(), c.r.Method, status, took)
	}
	level := slog.LevelInfo
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		level = slog.LevelDebug
	}
	o.Log.Log(c.r.Context(), level, "request", "method", c.r.Method, "path", c.r.URL.Path, "status", status, "ms", took.Milliseconds(),
		"principal", c.principal.Name, "client", c.client, "correlation_id", c.correlationID)
}

// pattern names the route for counting; what strangers make up is one name.
func (c *call) pattern() string {
	if c.route == nil {
		return "none"
	}
	return c.route.pattern
}

// serve is the order of checks; the contract fixes it.
func (c *call) serve() error {
	a := c.api
	found, notFound := a.router.match(c.r)
	c.route = found
	if err := a.checkBrowser(c.r); err != nil {
		return err
	}
	if err := c.admit(); err != nil {
		return err
	}
	if err := c.readBody(); err != nil {
		return err
	}
	if notFound != nil {
		return notFound
	}
	if err := c.checkParameters(); err != nil {
		return err
	}
	return c.route.handle(c)
}

// admit answers who may come in: the rate limit counts those who may not.
func (c *call) admit() error {
	open := c.route != nil && c.route.open || exempt(c.r.URL.Path)
	if open {
		c.principal = auth.Anonymous()
		return nil
	}
	var err error
	if c.principal, c.known, err = c.api.authenticate(c.r); err != nil {
		return err
	}
	if err := c.checkRate(); err != nil {
		return err
	}
	if !c.known {
		return unauthorized()
	}
	if c.route != nil && !c.principal.Can(c.route.scope) {
		return fail(http.StatusForbidden, "This API key lacks the scope %q.", c.route.scope)
	}
	return nil
}

// exempt are paths that need no key and are not counted.
func exempt(p string) bool {
	switch p {
	case "/health", "/ready", "/openapi.json", "/docs", "/redoc":
		return true
	}
	return strings.HasPrefix(p, "/docs/") || strings.HasPrefix(p, "/redoc/")
}

// checkParameters holds path, query and body against the route's tables and
// says everything that is wrong at once.
func (c *call) checkParameters() error {
	var wrong problems
	var body []schema.Problem
	if t := c.route.body; t != nil && !c.isMultipart {
		var err error
		if c.in, body, err = c.checkBody(t); err != nil {
			return err
		}
	}
	c.path, c.query = map[string]*schema.Value{}, map[string]*schema.Value{}
	for i := range c.route.path {
		f := &c.route.path[i]
		v, p := schema.CheckText(&f.Type, validText(c.r.PathValue(f.Name)), "path", f.Name)
		c.path[f.Name], wrong = v, append(wrong, p...)
	}
	given := queryOf(c.r.URL.RawQuery)
	for i := range c.route.query {
		f := &c.route.query[i]
		values := given[f.Name]
		switch {
		case f.Kind == schema.List: // read by its handler
		case len(values) > 0: // as FastAPI, the last one
			v, p := schema.CheckText(&f.Type, validText(values[len(values)-1]), "query", f.Name)
			c.query[f.Name], wrong = v, append(wrong, p...)
		case f.Required:
			wrong = append(wrong, schema.Missing([]byte("null"), "query", f.Name))
		}
	}
	if wrong = append(wrong, body...); len(wrong) > 0 {
		return wrong
	}
	return nil
}

// validText is what Starlette makes of parameters that are not UTF-8.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// recover turns a panic into the answer for unknown errors.
func (c *call) recover() {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	c.api.options.Log.ErrorContext(c.r.Context(), "request panicked", "correlation_id", c.correlationID,
		"method", c.r.Method, "path", c.r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if c.w.(*writer).began() {
		panic(http.ErrAbortHandler)
	}
	c.refuse(&statusError{status: http.StatusInternalServerError, detail: internalError})
}

// writer knows whether an answer has begun, and which.
type writer struct {
	http.ResponseWriter
	status int // 0 before it has begun
}

func (w *writer) began() bool { return w.status != 0 }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// clean reports a path that is what it says: without empty parts, "." and "..".
func clean(p string) bool {
	return strings.HasPrefix(p, "/") && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}
