package service_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/service"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

const patience = 30 * time.Second

// newService has jobs that nobody runs.
func newService(t *testing.T) *service.Service {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tako.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	types := jobtype.New(jobtype.Options{Config: config.Default(t.TempDir())})
	return &service.Service{Store: st, Jobs: queue.New(queue.Options{
		Store: st, Slots: queue.NewSlots(queue.Budget{}), Types: types, Node: store.Node{Name: "here"},
	})}
}

func submitted(t *testing.T, s *service.Service, p job.Principal) job.Record {
	t.Helper()
	req := job.Request{Code: "pass", Language: "python", Priority: 2, Retry: job.RetryInfrastructure}
	r, err := s.Jobs.Submit(t.Context(), req, queue.Origin{Principal: p})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// follow reads a log to its end, and reports what there was after a number.
func follow(ctx context.Context, s *service.Service, p job.Principal, id string, after int64) (events []job.Event, err error) {
	for e, err := range s.Events(ctx, p, id, after, true) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, ctx.Err()
}

// A browser's EventSource connects again after the end, with the end's number.
func TestFollowAfterTheEnd(t *testing.T) {
	s, p := newService(t), job.Principal{Owner: "a", Name: "a"}
	r := submitted(t, s, p)
	if _, err := s.Jobs.Cancel(t.Context(), p, r.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events, err := follow(ctx, s, p, r.ID, 0)
	if err != nil || len(events) == 0 || events[len(events)-1].Type != job.EventEnd {
		t.Fatalf("the log: %+v, %v", events, err)
	}
	if events, err = follow(ctx, s, p, r.ID, events[len(events)-1].Seq); err != nil || len(events) > 0 {
		t.Errorf("after the end: %+v, %v", events, err)
	}
}

// Whoever reads on from beyond the end is let go when the job ends.
func TestFollowFromBeyondTheEnd(t *testing.T) {
	s, p := newService(t), job.Principal{Owner: "a", Name: "a"}
	r := submitted(t, s, p)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	left := make(chan error, 1)
	go func() {
		_, err := follow(ctx, s, p, r.ID, 1000)
		left <- err
	}()
	if _, err := s.Jobs.Cancel(t.Context(), p, r.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-left; err != nil {
		t.Errorf("the reader waited until %v", err)
	}
}
