package api

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// A key is shown once, and what is stored of it is not the key.
func TestKeys(t *testing.T) {
	g := newRig(t)
	made := g.object("POST", "/keys", `{"name":"laptop","scopes":["execute","read"],"expires_at":"2027-01-01T02:00:00+02:00"}`)
	text, secret := made["key"].(string), made["webhook_secret"].(string)
	key, err := auth.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	stored := g.service.keys[made["id"].(string)]
	if !bytes.Equal(stored.Hash, key.Hash()) || stored.WebhookSecret != secret || len(secret) < 26 || !strings.HasPrefix(text, stored.Prefix) || stored.Name != "laptop" ||
		!stored.CreatedAt.Equal(epoch()) || !stored.ExpiresAt.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) || len(stored.Scopes) != 2 {
		t.Errorf("%+v", stored)
	}
	list := g.expect(http.StatusOK, "GET", "/keys", "").Body.String()
	want := `[{"id":"` + stored.ID + `","name":"laptop","prefix":"` + stored.Prefix + `","scopes":["execute","read"],"created_at":"2026-08-12T10:30:00.123456+00:00","expires_at":"2027-01-01T00:00:00+00:00","last_used_at":null}]`
	if list != want || strings.Contains(list, text) || strings.Contains(list, secret) {
		t.Errorf("%s", list)
	}
	if o := g.object("DELETE", "/keys/"+stored.ID, ""); o["status"] != "removed" || o["id"] != stored.ID {
		t.Errorf("%v", o)
	}
	if w := g.expect(http.StatusOK, "GET", "/keys", ""); w.Body.String() != "[]" {
		t.Errorf("%s", w.Body)
	}
	if o := g.object("POST", "/keys", `{"name":"n","scopes":["admin"]}`); o["expires_at"] != nil {
		t.Errorf("%v", o)
	}
}

func TestJobTypes(t *testing.T) {
	g := newRig(t)
	count := 2
	for _, tc := range []struct {
		body string
		want config.JobType
	}{
		{`{}`, config.JobType{Name: "new", PythonVersion: "3.11", MemoryLimit: 512 << 20, CPULimit: 1, Timeout: 30, StartupTimeout: 120}},
		{`{"name":"new","requirements":["numpy"],"python_version":"3.12","base_image":"i","shared_code":["lib"],"environment":{"A":"b"},"memory_limit":"1G","cpu_limit":0.5,"timeout":60,
			"startup_timeout":10,"network_enabled":true,"session_enabled":"yes","language":"node","preload":["os"],"network":{"mode":"allow","allow":["a.example"]},"secrets":[{"name":"A","host":"a.example"},{"name":"A","host":"b.example:8443","header":"X-Key"}],"limits":{"pids":5,"disk":"1m","stdout_bytes":7},"gpu":{"enabled":true,"vendor":"nvidia","count":2}}`,
			config.JobType{Name: "new", Requirements: []string{"numpy"}, PythonVersion: "3.12", BaseImage: "i", SharedCode: []string{"lib"}, Environment: map[string]string{"A": "b"}, MemoryLimit: 1 << 30,
				CPULimit: 0.5, Timeout: 60, StartupTimeout: 10, NetworkEnabled: true, SessionEnabled: true, Language: "node", Preload: []string{"os"}, Network: job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}},
				Secrets: []job.SecretBinding{{Name: "A", Host: "a.example"}, {Name: "A", Host: "b.example:8443", Header: "X-Key"}},
				Limits:  config.TypeLimits{PIDs: new(5), Disk: 1 << 20, Stdout: new(7)}, GPU: config.GPU{Enabled: true, Vendor: "nvidia", Count: &count}}},
		{`{"env":{"A":"b"},"environment":null}`,
			config.JobType{Name: "new", PythonVersion: "3.11", MemoryLimit: 512 << 20, CPULimit: 1, Timeout: 30, StartupTimeout: 120, Environment: map[string]string{"A": "b"}}},
		{`{"gpu":{"enabled":true,"vendor":"amd","device_ids":["0","1"]},"name":null}`,
			config.JobType{Name: "new", PythonVersion: "3.11", MemoryLimit: 512 << 20, CPULimit: 1, Timeout: 30, StartupTimeout: 120, GPU: config.GPU{Enabled: true, Vendor: "amd", DeviceIDs: []string{"0", "1"}}}},
	} {
		g.expect(http.StatusOK, "PUT", "/job-types/new", tc.body)
		if diff := cmp.Diff(tc.want, g.service.types["new"].JobType); diff != "" {
			t.Errorf("%s: %s", tc.body, diff)
		}
	}
	want := `{"name":"new","requirements":[],"python_version":"3.11","memory_limit":"512m","cpu_limit":1,"timeout":30,"startup_timeout":120,"network_enabled":false,"session_enabled":false,"gpu_enabled":true,"gpu_vendor":"amd","image_exists":false,"image":null,"language":"python","preload":[],"network":{"mode":"none","allow":[]},"secrets":[]}`
	if w := g.expect(http.StatusOK, "GET", "/job-types/new", ""); w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
	for body, msg := range map[string]string{
		`{"memory_limit":"63m"}`:                            "Value error, memory_limit must be between 64m and 32g",
		`{"memory_limit":"33g"}`:                            "Value error, memory_limit must be between 64m and 32g",
		`{"memory_limit":"99999999999999999999g"}`:          "Value error, memory_limit must be between 64m and 32g",
		`{"memory_limit":"1k"}`:                             "String should match pattern '^[0-9]+[mMgG]$'",
		`{"python_version":"3.7"}`:                          "String should match pattern",
		`{"timeout":3601}`:                                  "Input should be less than or equal to 3600",
		`{"timeout":301}`:                                   timeoutAbove(300),
		`{"cpu_limit":0.05}`:                                "Input should be greater than or equal to 0.1",
		`{"language":"ruby"}`:                               "Input should be",
		`{"network":{"mode":"allow","allow":["a b"]}}`:      "a pattern is a host name",
		`{"limits":{"pids":0}}`:                             "Input should be greater than or equal to 1",
		`{"env":{"A":"1"},"environment":{"A":"1"}}`:         "env and environment are one field; leave one of them out",
		`{"env":{"A B":""}}`:                                "String should match pattern",
		`{"environment":{"A B":""}}`:                        "String should match pattern",
		`{"gpu":{"vendor":"nvidia"}}`:                       "enabled must be true where vendor, count or device_ids is set",
		`{"gpu":{"enabled":true}}`:                          "vendor is required where enabled is true",
		`{"gpu":{"enabled":true,"vendor":"amd","count":1}}`: "count is for nvidia only; use device_ids",
		`{"gpu":{"enabled":true,"vendor":"nvidia","count":1,"device_ids":["0"]}}`: "count cannot be set together with device_ids",
		`{"gpu":{"enabled":true,"vendor":"amd","device_ids":["0","0"]}}`:          "0 is there twice",
		`{"colour":"x"}`: noExtra,
	} {
		n := len(g.service.changedSince(0))
		if w := g.expect(http.StatusUnprocessableEntity, "POST", "/job-types/bad", body); !strings.Contains(w.Body.String(), msg) || len(g.service.changedSince(n)) > 0 {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
}

func TestBuilds(t *testing.T) {
	g := newRig(t)
	w := g.expect(http.StatusOK, "POST", "/job-types/default/build?version_tag=v1", "")
	if w.Body.String() != `{"status":"built","job_type":"default","version":"default@sha256:0123456789ab","digest":"0123456789ab","image_ref":"tako-vm-default:latest","build_id":"build-1"}` {
		t.Errorf("%s", w.Body)
	}
	w = g.expect(http.StatusOK, "GET", "/job-types/default/versions", "")
	if w.Body.String() != `[{"version":"default@sha256:0123456789ab","digest":"0123456789ab","version_tag":"v1","built_at":"2026-08-12T10:30:00.123456+00:00","built_by":"manual"}]` {
		t.Errorf("%s", w.Body)
	}
	w = g.expect(http.StatusOK, "GET", "/job-types/default/builds/build-1/log", "")
	if w.Body.String() != "step 1\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%s, %v", w.Body, w.Header())
	}
	w = g.expect(http.StatusOK, "GET", "/job-types/default/builds/build-1/lock", "")
	if w.Body.String() != `{"python":"a==1 --hash=sha256:00\n","npm":null}` {
		t.Errorf("%s", w.Body)
	}
	for err, want := range map[error]string{
		job.Errorf(job.KindInvalid, "no package numpyy at /home/tako/x"): "Build failed: no package numpyy at /home/***/x",
		job.Errorf(job.KindEngine, "the engine died"):                    "Build failed: the engine died",
		job.Errorf(job.KindUnsupported, "it needs packages"):             "Build failed: it needs packages",
		job.Errorf(job.KindInternal, "secret"):                           "Internal server error.",
		errors.New("secret"):                                             "Internal server error.",
	} {
		g.service.buildErr = err
		if w := g.expect(http.StatusInternalServerError, "POST", "/job-types/default/build", ""); w.Body.String() != detail(want) {
			t.Errorf("%s", w.Body)
		}
	}
	for _, target := range []string{"GET /job-types/none", "DELETE /job-types/none", "POST /job-types/none/build", "GET /job-types/none/versions"} {
		method, path, _ := strings.Cut(target, " ")
		if w := g.expect(http.StatusNotFound, method, path, ""); w.Body.String() != detail("Job type 'none' not found") {
			t.Errorf("%s: %s", target, w.Body)
		}
	}
}

func TestHealth(t *testing.T) {
	g := newRig(t)
	h := g.service.health
	for _, tc := range []struct {
		name   string
		change func(*Health)
		status int
		parts  []string
	}{
		{"healthy", func(*Health) {}, 200, []string{`{"status":"healthy","docker_available":true,"gvisor_available":true,"circuit_breaker":{"state":"closed","failure_count":0,"success_count":0,"last_failure":null},"version":"dev","production_mode":false,"queue_stats":{"pending":1,"running":2,"max_workers":4,"max_queue_size":100},"engine":{"name":"gvisor","version":"1","platform":"systrap","isolation":"gvisor","ready":true}}`}},
		{"the breaker is open", func(h *Health) { h.Breaker = Breaker{"open", 5, 0, epoch()} }, 200, []string{`"status":"degraded"`, `"state":"open","failure_count":5,"success_count":0,"last_failure":1786530600.123456`}},
		{"the breaker tries", func(h *Health) { h.Breaker.State = "half_open" }, 200, []string{`"status":"healthy"`}},
		{"no engine", func(h *Health) { h.Engine.Ready = false }, 200, []string{`"status":"degraded","docker_available":false,"gvisor_available":false`}},
		{"another engine", func(h *Health) { h.Engine.Name = "kvm" }, 200, []string{`"docker_available":true,"gvisor_available":false`}},
		{"not ready", func(h *Health) { h.Ready = false }, 503, []string{`{"status":"starting","detail":"Server is not ready yet"}`}},
	} {
		g.service.health = h
		tc.change(&g.service.health)
		w := g.expect(tc.status, "GET", "/health", "")
		for _, part := range tc.parts {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s: %s", tc.name, w.Body)
			}
		}
	}
	g.expect(http.StatusServiceUnavailable, "GET", "/ready", "")
	g.service.health = h
	if w := g.expect(http.StatusOK, "GET", "/ready", ""); w.Body.String() != `{"status":"ready"}` {
		t.Errorf("%s", w.Body)
	}
	for err, want := range map[error]string{
		job.Errorf(job.KindUnavailable, "the disk is full"): "the disk is full", errors.New("secret"): "Internal server error.",
	} {
		g.service.accepting = err
		if w := g.expect(http.StatusServiceUnavailable, "GET", "/ready", ""); w.Body.String() != `{"status":"unavailable","detail":"`+want+`"}` {
			t.Errorf("%s", w.Body)
		}
	}
}

// Before there is anything to serve with, everything is answered all the same.
func TestStarting(t *testing.T) {
	for _, target := range []string{"/health", "/ready", "/execute", "/nothing"} {
		w := httptest.NewRecorder()
		Starting().ServeHTTP(w, request("POST", target, strings.NewReader(simple)))
		checkHeaders(t, w)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" ||
			w.Body.String() != `{"status":"starting","detail":"Server is not ready yet"}` {
			t.Errorf("%s: %d %v %s", target, w.Code, w.Header(), w.Body)
		}
	}
}

// A key that has expired already is of no use to anybody.
func TestKeysThatHaveExpired(t *testing.T) {
	g := newRig(t)
	for _, at := range []string{"2026-08-12T10:30:00Z", "2020-01-01T00:00:00Z"} {
		w := g.expect(http.StatusUnprocessableEntity, "POST", "/keys", `{"name":"n","scopes":["read"],"expires_at":"`+at+`"}`)
		if !strings.Contains(w.Body.String(), "expires_at must be in the future") {
			t.Errorf("%s: %s", at, w.Body)
		}
	}
	g.unchanged()
}

func TestDeadLetters(t *testing.T) {
	g := furnished(t)
	g.service.letters[2] = store.DeadLetter{ID: 2, ErrorType: "other", CreatedAt: epoch().Truncate(time.Second)}
	want := `{"items":[{"id":2,"job_id":"","job_data":{},"error_type":"other","error_message":null,"retry_count":0,"created_at":"2026-08-12T10:30:00Z","client_ip":null,"correlation_id":null}],"limit":1,"offset":0,"has_more":true,"count":1}`
	if w := g.expect(http.StatusOK, "GET", "/dlq?limit=1", ""); w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
	if w := g.expect(http.StatusOK, "GET", "/dlq/stats", ""); w.Body.String() != `{"total":2,"by_error_type":{"internal_error":1,"other":1}}` {
		t.Errorf("%s", w.Body)
	}
	if w := g.expect(http.StatusOK, "DELETE", "/dlq/2", ""); w.Body.String() != `{"status":"removed","entry_id":2}` {
		t.Errorf("%s", w.Body)
	}
	if o := g.object("POST", "/dlq/1/replay", ""); o["status"] != "queued" || o["job_id"] == "" {
		t.Errorf("%v", o)
	}
	for target, method := range map[string]string{"/dlq/1": "DELETE", "/dlq/1/replay": "POST"} {
		if w := g.expect(http.StatusNotFound, method, target, ""); w.Body.String() != detail("DLQ entry not found") {
			t.Errorf("%s", w.Body)
		}
	}
	g.service.fail["ReplayDeadLetter"] = ErrNotEnded
	if w := g.expect(http.StatusBadRequest, "POST", "/dlq/1/replay", ""); w.Body.String() != detail("Cannot replay job that hasn't completed") {
		t.Errorf("%s", w.Body)
	}
}

func TestDeliveries(t *testing.T) {
	g := furnished(t)
	g.service.deliveries = append(g.service.deliveries, store.Delivery{ID: "done", JobID: "other", Status: "delivered", NextAt: epoch()})
	o := g.object("GET", "/deliveries?job_id=other", "")
	item := o["items"].([]any)[0].(map[string]any)
	if o["count"] != 1.0 || item["next_at"] != nil || item["batch_id"] != nil {
		t.Errorf("%v", o)
	}
	if o := g.object("GET", "/deliveries?job_id=", ""); o["count"] != 2.0 {
		t.Errorf("%v", o)
	}
	if w := g.expect(http.StatusNotFound, "GET", "/deliveries?job_id=a%2Fb", ""); w.Body.String() != detail("Job not found") {
		t.Errorf("%s", w.Body)
	}
}

// The requests that a client writes are those that the tables take: every name,
// and no other.
func TestTablesKnowTheWire(t *testing.T) {
	tables := newTables(Options{})
	for _, tc := range []struct {
		table   *schema.Type
		request any
	}{
		{&tables.execute, wire.ExecuteRequest{}}, {&tables.batch, wire.BatchRequest{}}, {&tables.rerun, wire.RerunRequest{}}, {&tables.fork, wire.ForkRequest{}},
		{&tables.key, wire.KeyRequest{}}, {&tables.jobType, wire.JobTypeRequest{}}, {&tables.secret, wire.SecretRequest{}},
	} {
		sameNames(t, tc.table, reflect.TypeOf(tc.request))
	}
}

func sameNames(t *testing.T, table *schema.Type, request reflect.Type) {
	t.Helper()
	if table.Kind == schema.List {
		table = table.Items
	}
	for request.Kind() == reflect.Pointer || request.Kind() == reflect.Slice {
		request = request.Elem()
	}
	if table.Kind != schema.Object {
		return
	}
	known := map[string]*schema.Type{}
	for i := range table.Fields {
		known[table.Fields[i].Name] = &table.Fields[i].Type
	}
	for _, f := range reflect.VisibleFields(request) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if known[name] == nil {
			t.Errorf("%s.%s is in no table", request, name)
			continue
		}
		sameNames(t, known[name], f.Type)
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s lacks %s", request, name)
	}
}
