package queue_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/store"
)

// watched is a store that tells when somebody looks at a record.
type watched struct {
	store.Store
	looked chan struct{}
	whole  atomic.Int64 // looks at all of a record that has not ended
}

func (w *watched) Get(ctx context.Context, id string) (job.Record, error) {
	r, err := w.Store.Get(ctx, id)
	if !r.Status.Terminal() {
		w.whole.Add(1)
	}
	w.looked <- struct{}{}
	return r, err
}

func (w *watched) Status(ctx context.Context, id string) (job.Status, error) {
	status, err := w.Store.Status(ctx, id)
	w.looked <- struct{}{}
	return status, err
}

// chatty says something again as soon as somebody has looked.
type chatty struct{ looked <-chan struct{} }

func (c chatty) Run(ctx context.Context, rec *job.Record, _ job.Type, log func(context.Context, []job.Event) error) job.Ended {
	for range 20 {
		if err := log(ctx, []job.Event{{Attempt: rec.Attempt, At: time.Now(), Type: job.EventStdout, Data: []byte(`{"text":"more\n"}`)}}); err != nil {
			return ended(job.Failed, "log_failed", err.Error())
		}
		select {
		case <-c.looked:
		case <-ctx.Done():
		}
	}
	return ended(job.Succeeded, "", "")
}

// Who waits for a job that says much does not read all of it each time.
func TestWaitLooksAtTheStatus(t *testing.T) {
	w := &watched{Store: open(t, filepath.Join(t.TempDir(), "tako.db")), looked: make(chan struct{}, 10_000)}
	r := rigOn(t, w, func(o *queue.Options) { o.Executor = chatty{w.looked} })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rec := r.submit(t, request(""), queue.Origin{})
	rec, err := r.Wait(ctx, rec.ID)
	if err != nil || rec.Status != job.Succeeded || rec.Outcome.Stdout != "out" || w.whole.Load() != 0 {
		t.Errorf("ended as %+v, %v, after %d looks at all of it", rec, err, w.whole.Load())
	}
}
