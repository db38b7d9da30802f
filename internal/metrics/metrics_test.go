package metrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func page(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	m := New("1", "gvisor", "2")
	away := false
	m.Watch(State{
		Stats: func(context.Context) (store.Stats, error) {
			if away {
				return store.Stats{}, errors.New("away")
			}
			return store.Stats{Queued: 7, OldestQueued: time.Now().Add(-time.Minute)}, nil
		},
		Slots:   func() (int, int, int, int64) { return 4, 2, 1, 1 << 20 },
		Breaker: func() string { return "open" },
	})
	m.Request("/jobs/{job_id}", "GET", 200, time.Millisecond)
	m.Request("none", "BREW", 405, time.Millisecond)
	start := time.Unix(100, 0)
	m.Ended(&job.Record{Status: job.OOM, CreatedAt: start, StartedAt: start.Add(time.Second), EndedAt: start.Add(3 * time.Second),
		Outcome: job.Outcome{EndedBy: job.EndedBy{Actor: "memory_limit"}, Sandbox: job.SandboxRef{Supply: "restore"}}})
	m.Ended(&job.Record{Status: job.Cancelled})
	m.Webhook("delivered")
	got := page(m)
	for _, want := range []string{
		`tako_http_requests_total{method="GET",route="/jobs/{job_id}",status="200"} 1`,
		`tako_http_requests_total{method="other",route="none",status="405"} 1`,
		`tako_jobs_total{ended_by="memory_limit",path="async",status="oom"} 1`,
		`tako_sandboxes_total{supply="restore"} 1`,
		`tako_job_wait_seconds_sum{path="async"} 1`, `tako_job_run_seconds_sum{status="oom"} 2`,
		"tako_queue_depth 7", "tako_slots_used 2", "tako_breaker_state 2", "tako_database_up 1",
		`tako_info{engine="gvisor",engine_version="2",version="1"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s", want)
		}
	}
	away = true
	if got := page(m); !strings.Contains(got, "tako_database_up 0") || strings.Contains(got, "tako_queue_depth") || !strings.Contains(got, "tako_slots 4") {
		t.Errorf("with the database away:\n%s", got)
	}
}
