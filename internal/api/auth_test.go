package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// ring holds stored keys.
type ring struct {
	keys []job.Key
	err  error
}

func (r *ring) KeyByHash(_ context.Context, hash []byte) (job.Key, error) {
	for _, k := range r.keys {
		if slices.Equal(k.Hash, hash) {
			return k, r.err
		}
	}
	return job.Key{}, errors.Join(r.err, store.ErrNotFound)
}

func (*ring) TouchKey(context.Context, string, time.Time) error { return nil }

// add stores a key with these scopes; its id is also its owner.
func (r *ring) add(id string, scopes ...job.Scope) (text string) {
	key := auth.NewKey()
	r.keys = append(r.keys, job.Key{ID: id, Hash: key.Hash(), Scopes: scopes})
	return key.Reveal()
}

const configuredKey = "a-key-of-the-configuration"

// guarded is a rig that asks for keys: those of a ring, and configuredKey.
func guarded(t testing.TB, r *ring, change ...func(*Options)) *rig {
	return newRig(t, append([]func(*Options){func(o *Options) {
		o.Auth = auth.New(auth.Options{Configured: []string{configuredKey}, Keys: r, CacheFor: -1, Now: epoch})
	}}, change...)...)
}

func TestWhoMayComeIn(t *testing.T) {
	r := &ring{}
	stored := r.add("k", job.ScopeRead)
	const refused = `{"detail":"Missing or invalid API key.","correlation_id":"` + correlation + `"}`
	for _, tc := range []struct {
		name    string
		ok      bool
		headers []string
	}{
		{"nothing", false, nil},
		{"the header", true, []string{"X-API-Key: " + configuredKey}},
		{"the header, in another case", true, []string{"x-aPI-kEY: " + configuredKey}},
		{"a stored key", true, []string{"X-API-Key: " + stored}},
		{"Bearer", true, []string{"Authorization: Bearer " + configuredKey}},
		{"bearer", true, []string{"Authorization: bEARER " + stored}},
		{"Basic", false, []string{"Authorization: Basic " + configuredKey}},
		{"no scheme", false, []string{"Authorization: " + configuredKey}},
		{"a wrong key", false, []string{"X-API-Key: " + configuredKey + "x"}},
		{"an empty header", false, []string{"X-API-Key:"}},
		{"an empty header before a good one", false, []string{"X-API-Key:", "Authorization: Bearer " + configuredKey}},
		{"a good one before an empty header", false, []string{"Authorization: Bearer " + configuredKey, "X-API-Key:"}},
		{"a wrong header before a good one", false, []string{"X-API-Key: wrong", "Authorization: Bearer " + configuredKey}},
		{"a good header before a wrong one", true, []string{"X-API-Key: " + configuredKey, "Authorization: Bearer wrong"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := guarded(t, r)
			w := g.send("GET", "/executions", "", tc.headers...)
			if tc.ok && w.Code != http.StatusOK {
				t.Errorf("%d: %s", w.Code, w.Body)
			}
			if !tc.ok && (w.Code != http.StatusUnauthorized || w.Body.String() != refused || w.Header().Get("WWW-Authenticate") != "Bearer") {
				t.Errorf("%d: %s, %v", w.Code, w.Body, w.Header())
			}
		})
	}
}

// A request that is wrong in every way is answered in the contract's order:
// too many, no key, no right, too large, and only then what it asks for.
func TestOrderOfChecks(t *testing.T) {
	r := &ring{}
	read := r.add("reader", job.ScopeRead)
	tooLarge := strings.Repeat("x", 101)
	limits := func(o *Options) {
		o.MaxPayloadBytes, o.RateLimit, o.RateRequests, o.RateWindow = 100, true, 1, time.Minute
	}
	for _, tc := range []struct {
		name      string
		exhausted bool
		key, body string
		status    int
	}{
		{"too many, and no key", true, "", tooLarge, 429},
		{"too many, with a key", true, configuredKey, tooLarge, 429},
		{"no key, and too large", false, "", tooLarge, 401},
		{"no right, and too large", false, read, tooLarge, 403},
		{"too large, and of no type", false, configuredKey, tooLarge, 413},
		{"not JSON", false, configuredKey, "{", 422},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := guarded(t, r, limits)
			if tc.exhausted {
				g.send("GET", "/pool/stats", "", "X-API-Key: "+tc.key)
			}
			g.expect(tc.status, "POST", "/execute", tc.body, "X-API-Key: "+tc.key, "Content-Type: application/json")
			g.unchanged()
		})
	}
	t.Run("unknown paths need a key, too", func(t *testing.T) {
		g := guarded(t, r)
		g.expect(http.StatusUnauthorized, "GET", "/nothing", "")
		g.expect(http.StatusUnauthorized, "PATCH", "/execute", "")
		g.expect(http.StatusUnauthorized, "GET", "/executions/", "")
		g.expect(http.StatusRequestEntityTooLarge, "GET", "/nothing", strings.Repeat("x", 2<<20+1), "X-API-Key: "+configuredKey)
		g.expect(http.StatusNotFound, "GET", "/nothing", "", "X-API-Key: "+configuredKey)
	})
}

func TestExemptPaths(t *testing.T) {
	g := guarded(t, &ring{}, func(o *Options) { o.RateLimit, o.RateRequests, o.RateWindow = true, 1, time.Minute })
	for range 3 {
		for _, path := range []string{"/health", "/ready", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"} {
			g.expect(http.StatusOK, "GET", path, "")
		}
		g.expect(http.StatusNotFound, "GET", "/docs/other", "")
	}
	for _, path := range []string{"/", "/metrics", "/healthy", "/docs/../executions", "/health/x"} {
		if w := g.send("GET", path, ""); w.Code == http.StatusOK || w.Code == http.StatusTemporaryRedirect {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestScopes(t *testing.T) {
	r := &ring{}
	everything := []job.Scope{job.ScopeRead, job.ScopeExecute, job.ScopeAdmin}
	keys := map[job.Scope]string{}
	for _, s := range everything {
		keys[s] = r.add(string(s), s)
	}
	g := guarded(t, r)
	for _, route := range g.routes() {
		if route.open {
			continue
		}
		for _, have := range everything {
			method, target := route.method, strings.NewReplacer("{name...}", "a", "{$}", "", "{entry_id}", "1").Replace(route.pattern)
			w := g.send(method, target, "", "X-API-Key: "+keys[have])
			may := have == route.scope || have == job.ScopeAdmin
			refused := `{"detail":"This API key lacks the scope \"` + string(route.scope) + `\".","correlation_id":"` + correlation + `"}`
			if method == http.MethodHead {
				refused = ""
			}
			if forbidden := w.Code == http.StatusForbidden; forbidden == may || forbidden && w.Body.String() != refused {
				t.Errorf("%s %s with %s: %d %.200s", method, target, have, w.Code, w.Body)
			}
		}
	}
}

// What belongs to another key is not there; the admin sees it.
func TestOwners(t *testing.T) {
	r := &ring{}
	all := []job.Scope{job.ScopeRead, job.ScopeExecute}
	alice, bob, admin := r.add("alice", all...), r.add("bob", all...), r.add("admin", job.ScopeAdmin)
	g := guarded(t, r)
	record := ended("job")
	record.Owner = "alice"
	record.Outcome.Artifacts = []job.Artifact{{Name: "a", SizeBytes: 1, SHA256: g.service.putBlob("a")}}
	g.service.put(record)
	g.service.batches["batch"] = store.Batch{ID: "batch", Owner: "alice", Status: "running"}
	g.service.deliveries = []store.Delivery{{ID: "1", JobID: "job", Owner: "alice", Status: "pending"}}
	for _, tc := range []struct{ method, target, body, detail string }{
		{"GET", "/jobs/job", "", "Job not found"},
		{"GET", "/jobs/job/result", "", "Job not found"},
		{"GET", "/jobs/job/result?wait=true", "", "Job not found"},
		{"GET", "/jobs/job/events", "", "Job not found"},
		{"GET", "/jobs/job/artifacts", "", "Job not found"},
		{"GET", "/jobs/job/artifacts.zip", "", "Job not found"},
		{"GET", "/jobs/job/artifacts/a", "", "Job not found"},
		{"GET", "/executions/job", "", "Execution not found"},
		{"GET", "/executions/job/lineage", "", "Execution not found"},
		{"GET", "/executions/job/diff/job", "", "Execution not found"},
		{"GET", "/batches/batch", "", "Batch not found"},
		{"GET", "/batches/batch/results", "", "Batch not found"},
		{"POST", "/jobs/job/rerun", "{}", "Job not found"},
		{"POST", "/jobs/job/fork", simple, "Job not found"},
		{"POST", "/batches/batch/cancel", "", "Batch not found"},
		{"DELETE", "/jobs/job", "", "Job not found"},
	} {
		w := g.expect(http.StatusNotFound, tc.method, tc.target, tc.body, "X-API-Key: "+bob)
		if w.Body.String() != detail(tc.detail) {
			t.Errorf("%s %s: %s", tc.method, tc.target, w.Body)
		}
		g.unchanged()
		if tc.method == "GET" {
			g.expect(http.StatusOK, tc.method, tc.target, tc.body, "X-API-Key: "+alice)
			g.expect(http.StatusOK, tc.method, tc.target, tc.body, "X-API-Key: "+admin)
		}
	}
	for _, list := range []string{"/executions", "/deliveries"} {
		for key, count := range map[string]float64{alice: 1, bob: 0, admin: 1} {
			if o := g.object("GET", list, "", "X-API-Key: "+key); o["count"] != count {
				t.Errorf("%s: %v", list, o)
			}
		}
	}
	g.expect(http.StatusOK, "POST", "/execute", simple, "X-API-Key: "+bob)
	if r := g.service.records[g.service.order[1]]; r.Owner != "bob" {
		t.Errorf("the owner is %q", r.Owner)
	}
}

// A store that is away is not the caller's fault.
func TestKeysAreAway(t *testing.T) {
	r := &ring{}
	key := r.add("a", job.ScopeRead)
	for err, want := range map[error]string{
		job.Errorf(job.KindUnavailable, "the database is away"): "503 " + detail("the database is away"),
		errors.New("secret"): "500 " + detail("Internal server error."),
	} {
		r.err = err
		w := guarded(t, r).send("GET", "/executions", "", "X-API-Key: "+key)
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// With keys, the content type decides nothing before the route: as FastAPI, what
// is not JSON is text.
func TestContentTypeWithKeys(t *testing.T) {
	for contentType, status := range map[string]int{
		"":                                  200,
		"application/json":                  200,
		"Application/JSON; charset=utf-8":   200,
		"application/vnd.tako+json":         200,
		"text/plain":                        422,
		"application/x-www-form-urlencoded": 422,
		"nonsense":                          422,
	} {
		g := guarded(t, &ring{})
		r := request("POST", "/execute", strings.NewReader(simple), "X-API-Key: "+configuredKey)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%q: %d %s", contentType, w.Code, w.Body)
		}
		if status == 422 && w.Body.String() != one("model_attributes_type", `["body"]`, "Input should be a valid dictionary or object to extract fields from", `"{\"code\":\"x\"}"`, "") {
			t.Errorf("%q: %s", contentType, w.Body)
		}
	}
}
