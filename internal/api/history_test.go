package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// The names that the contract gives to each view, in its order.
const (
	slimKeys = "execution_id status job_type job_version created_at started_at ended_at duration_ms exit_code stdout stderr output error timing runtime"
	fullKeys = slimKeys + " job_ref artifacts input_artifacts resource_usage code_hash input_hash parent_execution_id relationship stdout_truncated stderr_truncated" +
		" idempotency_key ended_by host attempts environment network labels priority run_at queue_ms sandbox batch_id skipped_artifacts"
)

// keysOf are the names of an object, in their order.
func keysOf(t *testing.T, doc []byte) (keys []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(exact(doc))))
	depth, name := 0, true
	for {
		token, err := d.Token()
		if err != nil {
			return keys
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			name = true
		case string:
			if depth == 1 && name {
				keys = append(keys, v)
			}
			name = !name || depth > 1
		default:
			name = true
		}
	}
}

func TestViews(t *testing.T) {
	g := furnished(t)
	g.service.put(job.Record{ID: "fresh"})
	for _, id := range []string{"job", "fresh"} {
		for _, target := range []string{"/executions/" + id, "/jobs/" + id + "/result"} {
			for query, want := range map[string]string{"": slimKeys, "?view=full": fullKeys, "?view=FULL": slimKeys, "?view=": slimKeys, "?view=slim": slimKeys, "?view=slim&view=full": fullKeys} {
				w := g.expect(http.StatusOK, "GET", target+query, "")
				if diff := cmp.Diff(strings.Fields(want), keysOf(t, w.Body.Bytes())); diff != "" {
					t.Errorf("%s%s: %s", target, query, diff)
				}
			}
		}
	}
	for _, list := range []string{"/executions?job_type=default", "/batches/batch/results?limit=1"} {
		for query, n := range map[string]int{"": 15, "&view=full": 38} {
			for _, item := range g.object("GET", list+query, "")["items"].([]any) {
				if len(item.(map[string]any)) != n {
					t.Errorf("%s%s: %d keys", list, query, len(item.(map[string]any)))
				}
			}
		}
	}
}

// What is in a record comes out as it is: numbers as they were written, times as
// Python writes them, a note about the output in the full view only.
func TestRecordOnTheWire(t *testing.T) {
	g := furnished(t)
	slim := g.expect(http.StatusOK, "GET", "/executions/job", "").Body.String()
	full := g.expect(http.StatusOK, "GET", "/executions/job?view=full", "").Body.String()
	for _, part := range []string{
		`"output":{"n":[1e400]}`, `"created_at":"2026-08-12T10:30:00.123456+00:00"`, `"error":{"type":"runtime_error","message":"it failed","phase":"execution"}`,
		`"duration_ms":2000`, `"runtime":"runsc"`, `"timing":{"startup_ms":1000,"dep_install_ms":null,"execution_ms":1000,"total_ms":2000,"phase_at_exit":"completed"}`,
	} {
		if !strings.Contains(slim, part) {
			t.Errorf("%s is not in %s", part, slim)
		}
	}
	for _, part := range []string{
		`"message":"it failed; a note"`, `"resource_usage":{"max_rss_mb":1,"cpu_time_ms":1000,"wall_time_ms":1000}`, `"queue_ms":0`,
		`"network":{"mode":"allow","bytes_in":null,"bytes_out":null,"denied":[]}`, `"labels":{"k":"v"}`, `"relationship":"rerun"`,
		`"sandbox":{"supply":"pool","engine":"gvisor","engine_version":"1","unenforced":["memory"]}`, `"skipped_artifacts":["\"big\": it is too large"]`, `"name":"_code.py"`, `"name":"_input.json"`,
	} {
		if !strings.Contains(full, part) {
			t.Errorf("%s is not in %s", part, full)
		}
	}
}

func TestListExecutions(t *testing.T) {
	g := newRig(t)
	for i := range 5 {
		r := ended(fmt.Sprint("job-", i))
		r.CreatedAt = epoch().AddDate(0, 0, i)
		r.Request.Labels = map[string]string{"n": fmt.Sprint(i % 2), "all": "yes:and:no"}
		g.service.put(r)
	}
	g.service.put(job.Record{ID: "waiting", JobType: "other"})
	for id, label := range map[string][2]string{"percent": {"pct", "100%"}, "semicolon": {"semi", "a;b"}, "plus": {"semi", "a b"}} {
		old := job.Record{ID: id, Status: job.Failed, JobType: "labelled", Request: job.Request{Labels: map[string]string{label[0]: label[1]}}}
		g.service.put(old)
		g.service.order = append([]string{id}, g.service.order[:len(g.service.order)-1]...) // the oldest
	}
	for _, tc := range []struct {
		query string
		want  string // ids
		more  bool
	}{
		{"?status=succeeded", "job-4 job-3 job-2 job-1 job-0", false},
		{"?limit=2", "waiting job-4", true},
		{"?limit=2&offset=3&status=succeeded", "job-1 job-0", false},
		{"?offset=100", "", false},
		{"?offset=9223372036854775807", "", false},
		{"?status=queued", "waiting", false},
		{"?status=nonsense", "", false},
		{"?status=%00", "", false},
		{"?job_type=other", "waiting", false},
		{"?label=n:1", "job-3 job-1", false},
		{"?label=n:1&label=all:yes:and:no", "job-3 job-1", false},
		{"?label=n:1&label=all:", "", false},
		{"?label=n:1&label=n:1", "job-3 job-1", false},
		{"?label=pct:100%", "percent", false},
		{"?label=pct:100%25", "percent", false},
		{"?&label=%70ct:100%25&&status=failed&x=%zz;y", "percent", false},
		{"?label=semi:a;b", "semicolon", false},
		{"?label=semi:a+b", "plus", false},
		{"?limit=%20%2B5.0%20&offset=0", "waiting job-4 job-3 job-2 job-1", true},
	} {
		o := g.object("GET", "/executions"+tc.query, "")
		var ids []string
		for _, item := range o["items"].([]any) {
			ids = append(ids, item.(map[string]any)["execution_id"].(string))
		}
		if got := strings.Join(ids, " "); got != tc.want || o["has_more"] != tc.more || o["count"] != float64(len(ids)) {
			t.Errorf("%s: %s, %v", tc.query, got, o["has_more"])
		}
	}
	if f := g.service.filters[0]; f.Limit != 100 || f.Offset != 0 || f.Ascending || f.Labels != nil {
		t.Errorf("%+v", f)
	}
}

// A page of any size is the same document as a small one, and it is sent before
// all of it was read.
func TestListIsSentAsItIsRead(t *testing.T) {
	g := newRig(t)
	const n = 9
	for i := range n {
		r := ended(fmt.Sprint("job-", i))
		r.Outcome.Output = json.RawMessage(`"` + strings.Repeat("x", pageAtOnce/3) + `"`)
		g.service.put(r)
	}
	for _, tc := range []struct {
		target      string
		want        string // what follows the items
		whole, slim bool
	}{
		{"/executions?limit=2", `],"limit":2,"offset":0,"has_more":true,"count":2}`, true, true},
		{"/executions?limit=8&offset=1", `],"limit":8,"offset":1,"has_more":false,"count":8}`, false, true},
		{"/executions?limit=9&view=full", `],"limit":9,"offset":0,"has_more":false,"count":9}`, false, false},
		{"/executions?offset=9", `{"items":[],"limit":100,"offset":9,"has_more":false,"count":0}`, true, true},
	} {
		o := g.object("GET", tc.target, "")
		w := g.expect(http.StatusOK, "GET", tc.target, "")
		if float64(len(o["items"].([]any))) != o["count"] || !strings.HasSuffix(w.Body.String(), tc.want) {
			t.Errorf("%s ends with %s", tc.target, w.Body.String()[max(0, w.Body.Len()-100):])
		}
		if whole := w.Header().Get("Content-Length") != ""; whole != tc.whole || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", tc.target, w.Header())
		}
		if f := g.service.filters[len(g.service.filters)-1]; f.NoRequest != tc.slim || f.NoOutcome {
			t.Errorf("%s loads %+v", tc.target, f)
		}
	}
	g.service.fail["job-7"] = job.Errorf(job.KindUnavailable, "the database is away") // the second
	g.expect(http.StatusServiceUnavailable, "GET", "/executions?limit=9", "")
	delete(g.service.fail, "job-7")
	g.service.fail["job-0"] = errors.New("the database went away")
	w := httptest.NewRecorder()
	defer func() {
		if r := recover(); r != http.ErrAbortHandler || w.Body.Len() < pageAtOnce {
			t.Errorf("cut off by %v after %d bytes", r, w.Body.Len())
		}
	}()
	g.ServeHTTP(w, request("GET", "/executions?limit=9", nil))
}

func (g *rig) relatives(id string) (ancestors, descendants []string, truncated bool) {
	g.tb.Helper()
	l := g.object("GET", "/executions/"+id+"/lineage", "")
	ids := func(name string) (list []string) {
		for _, r := range l[name].([]any) {
			list = append(list, r.(map[string]any)["execution_id"].(string))
		}
		return list
	}
	return ids("ancestors"), ids("descendants"), l["truncated"].(bool)
}

func TestLineage(t *testing.T) {
	g := newRig(t)
	for _, line := range []string{"first", "second<first", "third<second", "left<third", "right<third", "grandchild<left", "other", "orphan<gone"} {
		id, parent, _ := strings.Cut(line, "<")
		g.service.put(job.Record{ID: id, ParentID: parent, Relationship: job.Rerun})
	}
	for _, tc := range []struct {
		id                     string
		ancestors, descendants string
	}{
		{"first", "", "second third left right grandchild"},
		{"third", "second first", "left right grandchild"},
		{"grandchild", "left third second first", ""},
		{"other", "", ""},
		{"orphan", "", ""},
	} {
		a, d, truncated := g.relatives(tc.id)
		if strings.Join(a, " ") != tc.ancestors || strings.Join(d, " ") != tc.descendants || truncated {
			t.Errorf("%s: %v, %v, %v", tc.id, a, d, truncated)
		}
	}
	w := g.expect(http.StatusOK, "GET", "/executions/orphan/lineage", "")
	if w.Body.String() != `{"execution_id":"orphan","ancestors":[],"descendants":[],"truncated":false}` {
		t.Errorf("%s", w.Body)
	}
}

func TestLineageIsBounded(t *testing.T) {
	chain := newRig(t)
	for i := range maxRelatives + 2 {
		chain.service.put(job.Record{ID: fmt.Sprint("r", i), ParentID: fmt.Sprint("r", i-1)})
	}
	if a, d, truncated := chain.relatives(fmt.Sprint("r", maxRelatives+1)); len(a) != maxRelatives || len(d) != 0 || !truncated {
		t.Errorf("%d, %d, %v", len(a), len(d), truncated)
	}
	if a, _, truncated := chain.relatives(fmt.Sprint("r", maxRelatives-1)); len(a) != maxRelatives-1 || truncated {
		// It has two descendants, too.
		t.Errorf("%d, %v", len(a), truncated)
	}
	wide := newRig(t)
	wide.service.put(job.Record{ID: "parent"})
	for i := range maxRelatives + 1 {
		wide.service.put(job.Record{ID: fmt.Sprint("r", i), ParentID: "parent"})
	}
	if _, d, truncated := wide.relatives("parent"); len(d) != maxRelatives || !truncated {
		t.Errorf("%d, %v", len(d), truncated)
	}
	circle := newRig(t) // cannot be, and would be no end
	circle.service.put(job.Record{ID: "a", ParentID: "b"})
	circle.service.put(job.Record{ID: "b", ParentID: "a"})
	if a, d, truncated := circle.relatives("a"); len(a) != maxRelatives || len(d) != maxRelatives || !truncated {
		t.Errorf("%d, %d, %v", len(a), len(d), truncated)
	}
}

// What is somebody else's ends a lineage as if it were not there.
func TestLineageOfOthers(t *testing.T) {
	r := &ring{}
	key := r.add("bob", job.ScopeRead)
	g := guarded(t, r)
	g.service.put(job.Record{ID: "hers", Owner: "alice"})
	g.service.put(job.Record{ID: "his", ParentID: "hers", Owner: "bob"})
	g.service.put(job.Record{ID: "hers-too", ParentID: "his", Owner: "alice"})
	l := g.object("GET", "/executions/his/lineage", "", "X-API-Key: "+key)
	if len(l["ancestors"].([]any))+len(l["descendants"].([]any)) != 0 {
		t.Errorf("%v", l)
	}
}

func TestDiff(t *testing.T) {
	g := newRig(t)
	one := ended("one")
	one.Request.Labels = map[string]string{"a": "1", "b": "2"}
	one.Outcome.Output = json.RawMessage(`{"n":1e400}`)
	one.Outcome.Usage.CPUTime = 5_000_000
	one.Outcome.Artifacts = []job.Artifact{{Name: "a", SHA256: "x"}, {Name: "b", SHA256: "y"}}
	same := one
	same.ID, same.Outcome.Usage.CPUTime = "same", 7_000_000
	same.Request.Labels = map[string]string{"b": "2", "a": "1"}
	other := one
	other.ID, other.Status, other.Request.Code, other.Request.Args = "other", job.Failed, "print(2)", []string{"x"}
	other.Outcome.Output, other.Outcome.Artifacts = json.RawMessage(`{"n":1e401}`), []job.Artifact{{Name: "a", SHA256: "z"}, {Name: "c"}}
	other.Outcome.Error = &job.Failure{Type: "oom", Message: "m"}
	for _, r := range []job.Record{one, same, other} {
		g.service.put(r)
	}
	if w := g.expect(http.StatusOK, "GET", "/executions/one/diff/one", ""); w.Body.String() != `{"left":"one","right":"one","identical":true,"differences":[]}` {
		t.Errorf("%s", w.Body)
	}
	want := `{"left":"one","right":"same","identical":true,"differences":[{"field":"resource_usage",` +
		`"left":{"max_rss_mb":null,"cpu_time_ms":5,"wall_time_ms":0},"right":{"max_rss_mb":null,"cpu_time_ms":7,"wall_time_ms":0}}]}`
	if w := g.expect(http.StatusOK, "GET", "/executions/one/diff/same", ""); w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
	d := g.expect(http.StatusOK, "GET", "/executions/one/diff/other", "").Body.String()
	for _, part := range []string{
		`{"left":"one","right":"other","identical":false,`, `{"field":"artifacts.b","left":{"name":"b","size_bytes":0,"sha256":"y"},"right":null}`,
		`{"field":"artifacts.c","left":null,"right":{"name":"c","size_bytes":0,"sha256":""}}`, `{"field":"inputs.args","left":null,"right":["x"]}`,
		`{"field":"inputs.code","left":"print(1)","right":"print(2)"}`, `{"field":"output","left":{"n":1e400},"right":{"n":1e401}}`, `{"field":"status","left":"succeeded","right":"failed"}`,
	} {
		if !strings.Contains(d, part) {
			t.Errorf("%s is not in %s", part, d)
		}
	}
	var fields []string
	for _, m := range strings.Split(d, `{"field":"`)[1:] {
		name, _, _ := strings.Cut(m, `"`)
		fields = append(fields, name)
	}
	if !slices.IsSorted(fields) || strings.Join(fields, " ") != "artifacts.a artifacts.b artifacts.c error inputs.args inputs.code output status" {
		t.Errorf("%v", fields)
	}
	for _, target := range []string{"/executions/one/diff/nobody", "/executions/nobody/diff/one", "/executions/one/diff/a%2Fb"} {
		if w := g.expect(http.StatusNotFound, "GET", target, ""); w.Body.String() != detail("Execution not found") {
			t.Errorf("%s: %s", target, w.Body)
		}
	}
}

func TestBatches(t *testing.T) {
	g := newRig(t)
	b := g.object("POST", "/batches", `{"items":[{"code":"a"},{"code":"b","priority":1}],"labels":{"k":"v"},"webhook_url":"https://a.example/x","idempotency_key":"12345678"}`)
	id := b["batch_id"].(string)
	if b["status"] != "running" || b["total"] != 2.0 || len(b) != 3 {
		t.Errorf("%v", b)
	}
	if s := g.service.lastBatch; s.IdempotencyKey != "12345678" || s.WebhookURL != "https://a.example/x" || s.Labels["k"] != "v" || s.CorrelationID != correlation || s.Items[1].Request.Priority != 1 || s.Items[0].Request.Priority != 2 {
		t.Errorf("%+v", s)
	}
	want := `{"batch_id":"` + id + `","status":"running","total":2,"counts":{"queued":2},"created_at":"2026-08-12T10:30:00.123456+00:00","ended_at":null,"labels":{"k":"v"}}`
	if w := g.expect(http.StatusOK, "GET", "/batches/"+id, ""); w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
	if o := g.object("GET", "/batches/"+id+"/results?limit=1", ""); o["count"] != 1.0 || o["has_more"] != true {
		t.Errorf("%v", o)
	}
	if f := g.service.filters[0]; f.BatchID != id || !f.Ascending || f.Limit != 1 {
		t.Errorf("%+v", f)
	}
	if o := g.object("POST", "/batches/"+id+"/cancel", ""); o["status"] != "cancelled" {
		t.Errorf("%v", o)
	}
	if w := g.expect(http.StatusNotFound, "POST", "/batches/"+id+"/cancel", ""); w.Body.String() != detail("Batch not found or already completed") {
		t.Errorf("%s", w.Body)
	}
	g.service.fail["SubmitBatch"] = &ItemError{3, store.ErrQueueFull}
	if w := g.expect(http.StatusServiceUnavailable, "POST", "/batches", `{"items":[{"code":"a"}]}`); w.Body.String() != detail("Job queue is full, try again later") {
		t.Errorf("%s", w.Body)
	}
}
