package queue_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
)

// What is refused before it has a sandbox says nothing of the engine, and after
// the rest one job tries that, not all that wait.
func TestBreakerOfJobs(t *testing.T) {
	var rested atomic.Int64
	r := newRig(t, func(o *queue.Options) {
		o.MaxAttempts = 1
		o.Now = func() time.Time { return time.Now().Add(time.Duration(rested.Load())) }
	})
	execute := func(code string) job.Record {
		rec, err := r.Execute(t.Context(), request(code), queue.Origin{})
		if err != nil {
			t.Error(err)
		}
		return rec
	}
	for _, code := range []string{"broken", "broken", "broken", "broken", "refused", "broken"} {
		execute(code)
		<-r.exec.started
	}
	if s := r.Breaker(); s.State != queue.BreakerOpen {
		t.Fatalf("the breaker: %+v", s)
	}
	rested.Store(int64(30 * time.Second))
	first := make(chan job.Record)
	go func() { first <- execute("wait") }()
	<-r.exec.started
	if rec := execute("another"); rec.Status != job.Failed || rec.Outcome.Error.Type != "service_unavailable" {
		t.Errorf("another one went to the engine and ended %s", rec.Status)
	}
	close(r.exec.release)
	if rec := <-first; rec.Status != job.Succeeded {
		t.Errorf("the first one ended %s", rec.Status)
	}
}
