package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// rich is a record that has everything.
func rich(id string) job.Record {
	r := ended(id)
	stdin := "in"
	r.Owner, r.CorrelationID, r.ClientIP, r.IdempotencyKey = "", correlation, "192.0.2.1", "a-key-of-mine"
	r.ParentID, r.Relationship, r.BatchID = "parent", job.Rerun, "batch"
	r.CodeHash, r.InputHash = strings.Repeat("a", 64), strings.Repeat("b", 64)
	r.Request.Input, r.Request.Args, r.Request.Stdin = json.RawMessage(`{"n": 1e400}`), []string{"a"}, &stdin
	r.Request.Labels, r.Request.RunAt = map[string]string{"k": "v"}, epoch()
	r.Request.Network = &job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}}
	r.Request.Files = []job.InputFile{{Path: "f", SizeBytes: 1, SHA256: strings.Repeat("c", 64)}}
	failure := &job.Failure{Type: "runtime_error", Message: "it failed", Phase: job.PhaseExecution}
	r.Attempts = []job.AttemptRecord{{N: 0, StartedAt: epoch(), EndedAt: epoch(), Status: job.Queued, Error: failure, Host: "host"}, {N: 1, StartedAt: epoch(), Status: job.Succeeded}}
	o := &r.Outcome
	o.Stderr, o.Output, o.OutputNote, o.Error = "err", json.RawMessage(`{"n": [1e400]}`), "a note", failure
	o.EndedBy = job.EndedBy{Actor: job.ActorUserCode, Limit: "memory", Signal: "SIGKILL", Detail: "why"}
	o.Timing = job.Timing{Startup: time.Second, Execution: time.Second, Total: 2 * time.Second, PhaseAtExit: job.PhaseCompleted}
	o.Usage = job.Usage{MaxRSS: 1 << 20, CPUTime: time.Second, Wall: time.Second}
	o.Environment, o.Host = job.EnvironmentRef{Name: "python", Version: "3.11", Digest: "d"}, "host"
	o.Sandbox = job.SandboxRef{Supply: job.SupplyPool, Engine: "gvisor", EngineVersion: "1", Unenforced: []string{"memory"}}
	o.Skipped = []string{`"big": it is too large`}
	return r
}

// furnished is a rig where everything that a request may name is there.
func furnished(tb testing.TB, change ...func(*Options)) *rig {
	g := newRig(tb, change...)
	g.service.furnish()
	return g
}

func (f *fake) furnish() {
	r := rich("job")
	r.Outcome.Artifacts = []job.Artifact{{Name: "sub/a.csv", SizeBytes: 7, SHA256: f.putBlob("content"), ContentType: "text/csv"}}
	f.put(r)
	f.put(job.Record{ID: "child", ParentID: "job", Relationship: job.Fork})
	f.logs["job"] = story()
	f.uploads["upload"] = []byte("u")
	f.batches["batch"] = store.Batch{ID: "batch", Total: 1, Status: "running", CreatedAt: epoch(), EndedAt: epoch(), Counts: map[job.Status]int{job.Succeeded: 1}, Labels: map[string]string{"k": "v"}}
	f.keys["key"] = job.Key{ID: "key", Name: "n", Prefix: "tako_abc", Scopes: []job.Scope{job.ScopeRead}, CreatedAt: epoch(), ExpiresAt: epoch(), LastUsedAt: epoch()}
	f.letters[1] = store.DeadLetter{ID: 1, JobID: "job", JobData: []byte(`{"job_type":"default"}`), ErrorType: "internal_error", ErrorMessage: "m", CreatedAt: epoch(), ClientIP: "192.0.2.1", CorrelationID: correlation}
	f.deliveries = []store.Delivery{{ID: "d", JobID: "job", BatchID: "batch", URL: "https://a.example", Status: "pending", NextAt: epoch(), LastStatus: 500, LastError: "e", CreatedAt: epoch(), DeliveredAt: epoch()}}
	f.secrets["KNOWN"] = "a-known-value"
	f.types["gpu"] = JobType{JobType: f.types["default"].JobType}
	t := f.types["gpu"]
	t.Name, t.GPU.Vendor, t.GPU.Enabled = "gpu", "nvidia", true
	f.types["gpu"] = t
	f.health.Breaker = Breaker{"half_open", 3, 1, epoch()}
}

// sample is a request that is as small as it may be, for one route.
type sample struct {
	target, body string
	form         bool
	query        string // that may be added
}

// samples has one for every route, by method and pattern.
func samples() map[string]sample {
	return map[string]sample{
		"POST /execute":                                {target: "/execute", body: simple},
		"POST /execute/async":                          {target: "/execute/async", body: simple},
		"POST /uploads":                                {target: "/uploads", body: form(sent("a", "x")), form: true},
		"GET /jobs/{job_id}":                           {target: "/jobs/child"},
		"DELETE /jobs/{job_id}":                        {target: "/jobs/job"},
		"GET /jobs/{job_id}/result":                    {target: "/jobs/job/result", query: "?wait=true&timeout=1.5&view=full"},
		"POST /jobs/{job_id}/cancel":                   {target: "/jobs/child/cancel"},
		"POST /jobs/{job_id}/rerun":                    {target: "/jobs/job/rerun", body: `{}`},
		"POST /jobs/{job_id}/fork":                     {target: "/jobs/job/fork", body: simple},
		"GET /jobs/{job_id}/events":                    {target: "/jobs/job/events", query: "?after=3&follow=false"},
		"GET /jobs/{job_id}/artifacts":                 {target: "/jobs/job/artifacts"},
		"GET /jobs/{job_id}/artifacts.zip":             {target: "/jobs/job/artifacts.zip"},
		"GET /jobs/{job_id}/artifacts/{name...}":       {target: "/jobs/job/artifacts/sub/a.csv"},
		"HEAD /jobs/{job_id}/artifacts/{name...}":      {target: "/jobs/job/artifacts/sub/a.csv"},
		"GET /executions":                              {target: "/executions", query: "?status=queued&job_type=default&label=k:v&limit=5&offset=0&view=full"},
		"GET /executions/{execution_id}":               {target: "/executions/job", query: "?view=full"},
		"GET /executions/{execution_id}/lineage":       {target: "/executions/job/lineage"},
		"GET /executions/{execution_id}/diff/{other}":  {target: "/executions/job/diff/child"},
		"POST /batches":                                {target: "/batches", body: `{"items":[` + simple + `]}`},
		"GET /batches/{batch_id}":                      {target: "/batches/batch"},
		"GET /batches/{batch_id}/results":              {target: "/batches/batch/results", query: "?limit=1&offset=0&view=full"},
		"POST /batches/{batch_id}/cancel":              {target: "/batches/batch/cancel"},
		"GET /job-types":                               {target: "/job-types"},
		"GET /job-types/{name}":                        {target: "/job-types/gpu"},
		"POST /job-types/{name}":                       {target: "/job-types/new", body: `{}`},
		"PUT /job-types/{name}":                        {target: "/job-types/gpu", body: `{}`},
		"DELETE /job-types/{name}":                     {target: "/job-types/gpu"},
		"POST /job-types/{name}/build":                 {target: "/job-types/gpu/build", query: "?version_tag=v1.2"},
		"GET /job-types/{name}/versions":               {target: "/job-types/gpu/versions"},
		"GET /job-types/{name}/builds/{build_id}/log":  {target: "/job-types/gpu/builds/build-1/log"},
		"GET /job-types/{name}/builds/{build_id}/lock": {target: "/job-types/gpu/builds/build-1/lock"},
		"GET /secrets":                                 {target: "/secrets"},
		"PUT /secrets/{name}":                          {target: "/secrets/A", body: `{"value":"a-new-value"}`},
		"DELETE /secrets/{name}":                       {target: "/secrets/KNOWN"},
		"GET /dlq/stats":                               {target: "/dlq/stats"},
		"GET /dlq":                                     {target: "/dlq", query: "?error_type=x&limit=1000&offset=5"},
		"DELETE /dlq/{entry_id}":                       {target: "/dlq/1"},
		"POST /dlq/{entry_id}/replay":                  {target: "/dlq/1/replay"},
		"GET /keys":                                    {target: "/keys"},
		"POST /keys":                                   {target: "/keys", body: `{"name":"n","scopes":["read"],"expires_at":"2027-01-01T00:00:00Z"}`},
		"DELETE /keys/{key_id}":                        {target: "/keys/key"},
		"GET /deliveries":                              {target: "/deliveries", query: "?job_id=job&limit=1"},
		"GET /pool/stats":                              {target: "/pool/stats"},
		"GET /health":                                  {target: "/health"},
		"GET /ready":                                   {target: "/ready"},
		"GET /metrics":                                 {target: "/metrics"},
		"GET /{$}":                                     {target: "/"},
		"GET /docs":                                    {target: "/docs"},
		"GET /docs/oauth2-redirect":                    {target: "/docs/oauth2-redirect"},
		"GET /redoc":                                   {target: "/redoc"},
		"GET /openapi.json":                            {target: "/openapi.json"},
		"GET /mcp":                                     {target: "/mcp"},
		"POST /mcp":                                    {target: "/mcp", body: `{}`},
		"DELETE /mcp":                                  {target: "/mcp"},
	}
}

// withMCP has the routes that are there with a MCP server only.
func withMCP(o *Options) {
	o.MCP = func(w http.ResponseWriter, _ *http.Request, p job.Principal) {
		fmt.Fprintf(w, `{"principal":%q}`, p.Name)
	}
}

// ask sends the sample of a route.
func (g *rig) ask(r *route, query string) *httptest.ResponseRecorder {
	g.tb.Helper()
	s, ok := samples()[r.method+" "+r.pattern]
	if !ok {
		g.tb.Fatalf("%s %s has no sample", r.method, r.pattern)
	}
	var headers []string
	if s.form {
		headers = []string{isForm()}
	}
	return g.send(r.method, s.target+query, s.body, headers...)
}

// Every route answers its smallest request as it is documented.
func TestRoutes(t *testing.T) {
	for i, r := range newRig(t, withMCP).routes() {
		for _, query := range slices.Compact([]string{"", samples()[r.method+" "+r.pattern].query}) {
			t.Run(r.method+" "+r.pattern+query, func(t *testing.T) {
				g := furnished(t, withMCP)
				r := &g.routes()[i]
				w := g.ask(r, query)
				if r.pattern == "/{$}" {
					if w.Code != http.StatusTemporaryRedirect {
						t.Errorf("%d", w.Code)
					}
					return
				}
				if w.Code != http.StatusOK {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				answer, media := r.typeOf(), r.media
				switch {
				case answer == nil && media != "":
					if kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";"); kind != strings.Split(media, ";")[0] && media != "application/octet-stream" && r.pattern != "/metrics" {
						t.Errorf("the type is %s, documented as %s", kind, media)
					}
				case answer != nil:
					checkAnswer(t, r, w, strings.Contains(query, "view=full"))
				}
				if changes := len(g.service.changedSince(0)); (r.method == "GET" || r.method == "HEAD") && changes > 0 {
					t.Error("looking changed something")
				}
			})
		}
	}
}

// checkAnswer wants exactly the keys that the type of the route's answer has.
func checkAnswer(t *testing.T, r *route, w *httptest.ResponseRecorder, full bool) {
	t.Helper()
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
		t.Errorf("%v", w.Header())
	}
	var v any
	if err := json.Unmarshal(exact(w.Body.Bytes()), &v); err != nil {
		t.Fatal(err)
	}
	answer := r.typeOf()
	record := reflect.TypeFor[wire.Record]()
	if full {
		record = reflect.TypeFor[wire.FullRecord]()
	}
	switch answer {
	case reflect.TypeFor[anyRecord]():
		answer = record
	case reflect.TypeFor[wire.Page[wire.Record]]():
		if full {
			answer = reflect.TypeFor[wire.Page[wire.FullRecord]]()
		}
	}
	checkKeys(t, "", answer, v)
}

// exact takes numbers out that no float64 holds.
func exact(doc []byte) []byte { return []byte(strings.ReplaceAll(string(doc), "1e400", "1")) }

// checkKeys compares a document with a type: every name, and null only where a
// pointer may be nil.
func checkKeys(t *testing.T, at string, want reflect.Type, v any) {
	t.Helper()
	if want.Kind() == reflect.Pointer {
		if v == nil {
			return
		}
		want = want.Elem()
	}
	if want == reflect.TypeFor[json.RawMessage]() {
		return
	}
	if v == nil {
		t.Errorf("%s is null", at)
		return
	}
	switch want {
	case reflect.TypeFor[wire.Time](), reflect.TypeFor[wire.ZTime]():
		if _, ok := v.(string); !ok {
			t.Errorf("%s is %v", at, v)
		}
		return
	}
	switch want.Kind() {
	case reflect.Slice:
		for i, item := range v.([]any) {
			checkKeys(t, fmt.Sprintf("%s[%d]", at, i), want.Elem(), item)
		}
	case reflect.Map:
		for name, item := range v.(map[string]any) {
			checkKeys(t, at+"."+name, want.Elem(), item)
		}
	case reflect.Struct:
		checkFields(t, at, want, v.(map[string]any))
	}
}

func checkFields(t *testing.T, at string, want reflect.Type, members map[string]any) {
	t.Helper()
	declared := map[string]bool{}
	for _, f := range reflect.VisibleFields(want) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" {
			continue
		}
		declared[name] = true
		m, ok := members[name]
		switch {
		case ok:
			checkKeys(t, at+"."+name, f.Type, m)
		case options != "omitempty":
			t.Errorf("%s.%s is not there", at, name)
		}
	}
	for name := range members {
		if !declared[name] {
			t.Errorf("%s.%s is too much", at, name)
		}
	}
}

// A furnished record leaves nothing out, or the test above compares nothing.
func TestRichRecordHasEverything(t *testing.T) {
	r := rich("job")
	r.Outcome.Artifacts = []job.Artifact{{Name: "a", SHA256: "s", ContentType: "text/csv"}}
	body, err := encode(wire.NewFullRecord(&r))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(exact(body), &v); err != nil {
		t.Fatal(err)
	}
	for name, member := range v {
		if list, ok := member.([]any); member == nil || ok && len(list) == 0 {
			t.Errorf("%s is %v", name, member)
		}
	}
}
