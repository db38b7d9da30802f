package service

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

// broken is an engine that never runs anything.
type broken struct{}

func (broken) Run(context.Context, *job.Record, job.Type, func(context.Context, []job.Event) error) job.Ended {
	return job.Ended{Status: job.Failed, Again: true}
}

type types struct{}

func (types) Resolve(context.Context, string) (job.Type, error) {
	return job.Type{Name: "default", Ref: "default@latest", Limits: job.DefaultLimits()}, nil
}

// newService is one whose engine is broken.
func newService(t *testing.T) *Service {
	t.Helper()
	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tako.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	slots := queue.NewSlots(queue.Budget{Slots: 4, Waiting: 100})
	jobs := queue.New(queue.Options{
		Store: records, Slots: slots, Executor: broken{}, Types: types{}, Node: store.Node{Name: "here"}, MaxAttempts: 1, Drain: time.Minute,
	})
	if err := jobs.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		jobs.Stop(context.Background())
		if err := records.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Service{Jobs: jobs, Store: records, Slots: slots, Engine: engine.Info{Name: "gvisor"}}
}

func submission(t *testing.T) api.Submission {
	t.Helper()
	return api.Submission{Request: job.Request{Code: "print(1)", Language: "python", Priority: 2}}
}

// An engine that fails again and again is not said to work.
func TestHealthOfTheEngine(t *testing.T) {
	s := newService(t)
	if h := s.Health(t.Context()); !h.Engine.Ready {
		t.Errorf("before anything ran: %+v", h)
	}
	for range 5 {
		if _, err := s.Execute(t.Context(), auth.Anonymous(), submission(t)); err != nil {
			t.Fatal(err)
		}
	}
	if h := s.Health(t.Context()); h.Engine.Ready || h.Breaker.State != "open" {
		t.Errorf("after five failures: %+v", h)
	}
}

// The webhooks of a batch are found by its id, by who sees it.
func TestDeliveriesOfABatch(t *testing.T) {
	s := newService(t)
	owner := job.Principal{Owner: "me", Scopes: []job.Scope{job.ScopeExecute, job.ScopeRead}}
	b, err := s.SubmitBatch(t.Context(), owner, api.BatchSubmission{Items: []api.Submission{submission(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Deliveries(t.Context(), owner, b.ID, 10, 0); err != nil {
		t.Errorf("of a batch: %v", err)
	}
	if _, _, err := s.Deliveries(t.Context(), job.Principal{Owner: "another"}, b.ID, 10, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another's batch: %v", err)
	}
}

// hanging is a store that can be made to hang.
type hanging struct {
	store.Store
	hangs  bool
	queued int
}

func (h *hanging) Stats(ctx context.Context) (store.Stats, error) {
	if h.hangs {
		<-ctx.Done()
		return store.Stats{}, ctx.Err()
	}
	return store.Stats{Queued: h.queued}, nil
}

// What waits is what waits in the queue, a second old at most. A database that
// hangs does not keep the answer back: it has what was known last.
func TestHealthOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &hanging{queued: 3}
		s := &Service{Jobs: queue.New(queue.Options{}), Store: records, Slots: queue.NewSlots(queue.Budget{})}
		want := func(when string, n int) {
			t.Helper()
			began := time.Now()
			if h := s.Health(t.Context()); h.Pool.Pending != n || time.Since(began) > depthWaits {
				t.Errorf("%s: %d after %v", when, h.Pool.Pending, time.Since(began))
			}
		}
		want("at first", 3)
		records.queued = 4
		want("at once", 3)
		<-time.After(depthLasts)
		want("a second later", 4)
		records.hangs = true
		<-time.After(depthLasts)
		want("while the database hangs", 4)
		want("while it still hangs", 4)
		<-time.After(depthLasts + depthTakes)
		synctest.Wait()
		records.hangs, records.queued = false, 5
		want("when it is back", 5)
	})
}
