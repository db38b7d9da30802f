package api

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/job"
)

// route is a row of routes.go: all there is to know about an operation.
type route struct {
	method, pattern string
	name            string // operationId
	tag, summary    string
	scope           job.Scope
	open            bool           // needs no key and is not counted
	path            []schema.Field // path parameters that are not just text
	query           []schema.Field
	body            *schema.Type
	multipart       bool
	answer          any    // a value of the type that is answered
	media           string // of an answer that is not JSON
	errors          []int  // beside those that every route has
	words           words
	hidden          bool // from the document
	handle          func(c *call) error
}

// resource is a path with its methods.
type resource map[string]*route

// router finds the route of a request. ServeMux does the matching; how it
// answers what it does not know is not FastAPI's way, so it does not answer.
type router struct{ mux *http.ServeMux }

// capture is a writer that takes the resource and no answer.
type capture struct {
	http.ResponseWriter
	found resource
}

func (*capture) Header() http.Header         { return http.Header{} }
func (*capture) Write(b []byte) (int, error) { return len(b), nil }
func (*capture) WriteHeader(int)             {}

// ServeHTTP notes that this resource was found.
func (res resource) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.(*capture).found = res }

func newRouter(routes []route) *router {
	resources := map[string]resource{}
	for i := range routes {
		r := &routes[i]
		if resources[r.pattern] == nil {
			resources[r.pattern] = resource{}
		}
		resources[r.pattern][r.method] = r
	}
	mux := http.NewServeMux()
	for pattern, res := range resources {
		mux.Handle(pattern, res)
	}
	return &router{mux}
}

// match answers the route and sets r's path values, or what to answer instead.
func (t *router) match(r *http.Request) (*route, error) {
	if !clean(r.URL.Path) {
		return nil, notFound()
	}
	found := t.find(r)
	if found == nil || r.URL.Path != "/" && strings.HasSuffix(r.URL.Path, "/") { // an empty {name...}
		return nil, t.redirect(r)
	}
	if route := found[r.Method]; route != nil {
		return route, nil
	}
	allow := strings.Join(slices.Sorted(maps.Keys(found)), ", ")
	return nil, &statusError{status: http.StatusMethodNotAllowed, detail: "Method Not Allowed", bare: true,
		header: http.Header{"Allow": {allow}}}
}

func (t *router) find(r *http.Request) resource {
	var c capture
	t.mux.ServeHTTP(&c, r)
	return c.found
}

// redirect sends a path with a slash too many to the one without.
func (t *router) redirect(r *http.Request) error {
	short, ok := strings.CutSuffix(r.URL.Path, "/")
	if !ok || short == "" {
		return notFound()
	}
	trimmed := r.Clone(r.Context())
	trimmed.URL.Path, trimmed.URL.RawPath = short, strings.TrimSuffix(r.URL.RawPath, "/")
	if t.find(trimmed) == nil {
		return notFound()
	}
	return &statusError{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {trimmed.URL.RequestURI()}}}
}

func notFound() error {
	return &statusError{status: http.StatusNotFound, detail: "Not Found", bare: true}
}

// typeOf is the type of a route's answer; nil for none.
func (r *route) typeOf() reflect.Type { return reflect.TypeOf(r.answer) }
