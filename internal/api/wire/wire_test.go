package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
)

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTimes(t *testing.T) {
	east := time.FixedZone("", 2*3600)
	for _, tc := range []struct {
		at          time.Time
		python, std string
	}{
		{time.Date(2026, 8, 12, 10, 30, 0, 123456000, time.UTC), `"2026-08-12T10:30:00.123456+00:00"`, `"2026-08-12T10:30:00.123456Z"`},
		{time.Date(2026, 8, 12, 12, 30, 0, 123456789, east), `"2026-08-12T10:30:00.123456+00:00"`, `"2026-08-12T10:30:00.123456Z"`},
		{time.Date(2026, 8, 12, 10, 30, 0, 120000000, time.UTC), `"2026-08-12T10:30:00.120000+00:00"`, `"2026-08-12T10:30:00.120000Z"`},
		{time.Date(2026, 8, 12, 10, 30, 0, 999, time.UTC), `"2026-08-12T10:30:00+00:00"`, `"2026-08-12T10:30:00Z"`},
	} {
		if python, std := text(t, NewTime(tc.at)), text(t, ZTime{tc.at}); python != tc.python || std != tc.std {
			t.Errorf("%s, %s", python, std)
		}
		for _, written := range []string{tc.python, tc.std} {
			var read Time
			var z ZTime
			if err := json.Unmarshal([]byte(written), &read); err != nil || !read.Equal(tc.at.Truncate(time.Microsecond)) {
				t.Errorf("%s: %v, %v", written, read, err)
			}
			if err := json.Unmarshal([]byte(written), &z); err != nil || !z.Equal(read.Time) {
				t.Errorf("%s: %v, %v", written, z, err)
			}
		}
	}
	if NewTime(time.Time{}) != nil {
		t.Error("no time is a time")
	}
	var read Time
	if err := json.Unmarshal([]byte("null"), &read); err != nil || !read.IsZero() {
		t.Error(err)
	}
	for _, wrong := range []string{`""`, `5`, `"yesterday"`, `{}`} {
		if err := json.Unmarshal([]byte(wrong), &read); err == nil {
			t.Errorf("%s is a time", wrong)
		}
	}
}

// A record of nothing has every key all the same.
func TestEmptyRecord(t *testing.T) {
	want := `{"execution_id":"","status":"","job_type":"","job_version":"","created_at":null,"started_at":null,"ended_at":null,"duration_ms":null,"exit_code":null,` +
		`"stdout":"","stderr":"","output":null,"error":null,"timing":null,"runtime":null`
	if got := text(t, NewRecord(&job.Record{})); got != want+"}" {
		t.Errorf("%s", got)
	}
	want += `,"job_ref":"","artifacts":[],"input_artifacts":[],"resource_usage":null,"code_hash":null,"input_hash":null,"parent_execution_id":null,"relationship":null,` +
		`"stdout_truncated":false,"stderr_truncated":false,"idempotency_key":null,"ended_by":null,"host":null,"attempts":[],"environment":null,` +
		`"network":{"mode":"none","bytes_in":null,"bytes_out":null,"denied":[]},"labels":{},"priority":0,"run_at":null,"queue_ms":null,"sandbox":null,"batch_id":null,"skipped_artifacts":[]}`
	if got := text(t, NewFullRecord(&job.Record{})); got != want {
		t.Errorf("%s", got)
	}
}

func TestDurations(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(1_000_000+seconds), 0) }
	for _, tc := range []struct {
		name            string
		r               job.Record
		duration, queue int64 // -1 is null
	}{
		{"waiting", job.Record{CreatedAt: at(0)}, -1, -1},
		{"running", job.Record{CreatedAt: at(0), StartedAt: at(2)}, -1, 2000},
		{"ended", job.Record{CreatedAt: at(0), StartedAt: at(2), EndedAt: at(5)}, 3000, 2000},
		{"ended, and measured", job.Record{CreatedAt: at(0), StartedAt: at(2), EndedAt: at(5), Outcome: job.Outcome{Timing: job.Timing{Total: 2500 * time.Millisecond}}}, 2500, 2000},
		{"cancelled before it ran", job.Record{CreatedAt: at(0), EndedAt: at(5)}, -1, -1},
		{"retried", job.Record{CreatedAt: at(0), StartedAt: at(9), Attempts: []job.AttemptRecord{{StartedAt: at(1)}, {StartedAt: at(9)}}}, -1, 1000},
		{"run later", job.Record{CreatedAt: at(0), StartedAt: at(9), Request: job.Request{RunAt: at(8)}}, -1, 1000},
		{"by a clock that is behind", job.Record{CreatedAt: at(5), StartedAt: at(2)}, -1, 0},
	} {
		full := NewFullRecord(&tc.r)
		value := func(n *int64) int64 {
			if n == nil {
				return -1
			}
			return *n
		}
		if value(full.DurationMS) != tc.duration || value(full.QueueMS) != tc.queue {
			t.Errorf("%s: %d, %d", tc.name, value(full.DurationMS), value(full.QueueMS))
		}
	}
}

// Why there is no output is a matter of the full view, and does not change the
// record that it is about.
func TestNoteOfOutput(t *testing.T) {
	r := job.Record{Outcome: job.Outcome{OutputNote: "result.json is not JSON"}}
	if full := NewFullRecord(&r); full.Error == nil || full.Error.Message != "result.json is not JSON" || full.Record.Error != full.Error {
		t.Errorf("%+v", full.Error)
	}
	if slim := NewRecord(&r); slim.Error != nil {
		t.Errorf("%+v", slim.Error)
	}
	r.Outcome.Error = &job.Failure{Type: "oom", Message: "too much", Phase: job.PhaseExecution}
	if full := NewFullRecord(&r); full.Error.Message != "too much; result.json is not JSON" || full.Error.Type != "oom" || *full.Error.Phase != job.PhaseExecution || r.Outcome.Error.Message != "too much" {
		t.Errorf("%+v", full.Error)
	}
}

func TestJobStatusOfPosition(t *testing.T) {
	for _, tc := range []struct {
		status   job.Status
		position int
		want     string
	}{{job.Queued, 3, "pending 3"}, {job.Queued, 0, "queued null"}, {job.Running, 3, "running null"}, {job.Succeeded, 0, "succeeded null"}} {
		s := NewJobStatus(&job.Record{Status: tc.status}, tc.position)
		if got := s.Status + " " + text(t, s.QueuePosition); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

func TestEngineNames(t *testing.T) {
	for engine, want := range map[string]string{"gvisor": `"runsc"`, "": "null", "kvm": `"kvm"`} {
		if got := text(t, runtimeName(engine)); got != want {
			t.Errorf("%q is %s", engine, got)
		}
	}
}

// What a client reads is what the server wrote.
func TestRoundTrip(t *testing.T) {
	code := 3
	r := job.Record{
		ID: "id", Status: job.Failed, CreatedAt: time.Unix(5, 0), Request: job.Request{Labels: map[string]string{"a": "b"}, Priority: 2},
		Outcome: job.Outcome{ExitCode: &code, Output: json.RawMessage(`{"n":1e400}`), Artifacts: []job.Artifact{{Name: "a"}}, EndedBy: job.EndedBy{Actor: job.ActorTimeout}},
	}
	full := NewFullRecord(&r)
	var read FullRecord
	if err := json.Unmarshal([]byte(text(t, full)), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text(t, full), text(t, read)); diff != "" {
		t.Error(diff)
	}
}

// Requests of a client name what the tables of the server know; what is not set
// is left out.
func TestRequestsLeaveOut(t *testing.T) {
	for _, tc := range []struct {
		request any
		want    string
	}{
		{ExecuteRequest{Code: "x"}, `{"code":"x"}`}, {BatchRequest{}, `{"items":null}`}, {RerunRequest{}, `{}`}, {ForkRequest{}, `{"code":""}`}, {KeyRequest{}, `{"name":"","scopes":null}`},
		{JobTypeRequest{}, `{}`}, {File{}, `{"path":""}`}, {NetworkRequest{}, `{"mode":""}`}, {Limits{}, `{}`}, {GPU{}, `{"enabled":false}`},
	} {
		if got := text(t, tc.request); got != tc.want {
			t.Errorf("%T: %s", tc.request, got)
		}
	}
}

// A name is written as others write it: words with _ between them.
func TestNames(t *testing.T) {
	for _, v := range []any{ExecuteRequest{}, FullRecord{}, Health{}, DeadLetter{}, JobType{}, Build{}, JobTypeVersion{}, CreatedKey{}, Delivery{}, Upload{}, Batch{}, Lineage{}, Diff{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.Anonymous && (name == "" || strings.ToLower(name) != name) {
				t.Errorf("%T.%s is %q", v, f.Name, name)
			}
		}
	}
}

// What an error says about the host is not for callers; what a program says
// about itself stays, but for the contract's masks.
func TestMessagesAreSanitized(t *testing.T) {
	for _, tt := range []struct {
		kind, message, want string
	}{
		{"service_unavailable", "mkdir /srv/tako/run/4363-a/engine/x: no space left", "mkdir ***/x: no space left"},
		{"internal_error", "open '/etc/secret/key': denied", "open '***/key': denied"},
		{"value_error", "ValueError: /srv/data/x is bad", "ValueError: /srv/data/x is bad"},
		{"value_error", "/home/bob at 10.1.2.3", "/home/*** at ***.***.***.***"},
	} {
		r := job.Record{Outcome: job.Outcome{
			Error: &job.Failure{Type: tt.kind, Message: tt.message}, EndedBy: job.EndedBy{Actor: job.ActorHost, Detail: "/a/b/c"},
		}}
		full := NewFullRecord(&r)
		if full.Error.Message != tt.want || *full.EndedBy.Detail != "***/c" {
			t.Errorf("%s: %q, %q", tt.message, full.Error.Message, *full.EndedBy.Detail)
		}
	}
}
