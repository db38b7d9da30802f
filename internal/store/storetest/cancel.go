package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func (s *suite) position(t *testing.T) {
	st := s.open(t)
	low, urgent, later := record("low"), record("urgent"), record("later")
	low.Request.Priority, urgent.Request.Priority, later.Request.RunAt = 4, 1, time.Now().Add(time.Hour)
	submit(t, st, record("a"), low, record("b"), urgent, later)
	check := func(want map[string]int) {
		t.Helper()
		for id, n := range want {
			if got, err := st.Position(t.Context(), id); err != nil || got != n {
				t.Errorf("the place of %s is %d (%v), want %d", id, got, err, n)
			}
		}
	}
	check(map[string]int{"urgent": 1, "a": 2, "b": 3, "low": 4, "later": 5})
	claims, w := collect(t, st, "n", 1)
	h := receive(t, "a claim", claims)
	check(map[string]int{"urgent": 0, "a": 1, "b": 2, "low": 3, "later": 4})
	if _, err := st.Cancel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	check(map[string]int{"a": 0, "b": 1, "low": 2, "later": 3})
	if err := st.Finish(t.Context(), h.Claim, job.Succeeded, outcome("")); err != nil {
		t.Fatal(err)
	}
	check(map[string]int{"urgent": 0, "b": 1})
	if _, err := st.Position(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the place of one that is not there: %v", err)
	}
	go w.stop() // before the handle ends: nothing more is to be taken
	h.end()
	w.stop()
}

func (s *suite) cancelQueued(t *testing.T) {
	st := s.open(t)
	later := full("later")
	later.Request.RunAt = time.Now().Add(time.Hour)
	submit(t, st, full("a"), later)
	for _, id := range []string{"a", "later"} {
		r, err := st.Cancel(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != job.Cancelled || r.EndedAt.IsZero() || len(r.Attempts) != 0 ||
			r.Outcome.EndedBy.Actor != job.ActorCancel || r.Outcome.Error == nil || r.Outcome.Error.Type != "cancelled" {
			t.Errorf("cancelled as %+v", r)
		}
		if diff := diffRecords(r, get(t, st, id)); diff != "" {
			t.Errorf("answered otherwise than stored (-answered +stored):\n%s", diff)
		}
		if got := story(t, st, id); got != "end:cancelled" {
			t.Errorf("the log is %s", got)
		}
		if list, _, err := st.ListDeliveries(t.Context(), nil, id, 9, 0); err != nil || len(list) != 1 {
			t.Errorf("%d deliveries, %v", len(list), err)
		}
		if _, err := st.Cancel(t.Context(), id); !errors.Is(err, store.ErrEnded) {
			t.Errorf("once more: %v", err)
		}
	}
	if _, err := st.Cancel(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	if h := runOne(t, st, record("b")); h.Record.ID == "b" {
		succeed(t, st, h)
	} else {
		t.Errorf("%s is run", h.Record.ID)
	}
}

func (s *suite) cancelRunning(t *testing.T) {
	st := s.open(t)
	h := runOne(t, st, record("a"))
	for range 2 { // the second changes nothing
		r, err := st.Cancel(t.Context(), "a")
		if err != nil || r.Status != job.Running || !r.CancelRequested {
			t.Fatalf("marked as %+v, %v", r, err)
		}
	}
	receive(t, "Cancelled closed", h.Cancelled)
	if err := st.Finish(t.Context(), h.Claim, job.Cancelled, outcome("")); err != nil {
		t.Fatal(err)
	}
	h.end()
	if _, err := st.Cancel(t.Context(), "a"); !errors.Is(err, store.ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
	if got, want := story(t, st, "a"), "status:running end:cancelled"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
}

// Whoever asked for the end of a job gets it, however the attempt went.
func (s *suite) cancelledNotRetried(t *testing.T) {
	st := s.open(t)
	claims, _ := collect(t, st, "n", 1)
	for name, report := range map[string]func(h held) error{
		"retry":     func(h held) error { return st.Retry(t.Context(), h.Claim, job.Failure{}, time.Now()) },
		"release":   func(h held) error { return st.Release(t.Context(), h.Claim) },
		"abandoned": func(held) error { return nil },
	} {
		submit(t, st, record(name))
		h := receive(t, "a claim", claims)
		if _, err := st.Cancel(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := report(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		h.end()
		r := await(t, st, name, "ended", func(r job.Record) bool { return r.Status.Terminal() })
		if r.Status != job.Cancelled || r.Outcome.EndedBy.Actor != job.ActorCancel || len(r.Attempts) != 1 {
			t.Errorf("%s: ended as %+v", name, r)
		}
		if got, want := story(t, st, name), "status:running end:cancelled"; got != want {
			t.Errorf("%s: the log is %s, want %s", name, got, want)
		}
	}
}
