package storetest

import (
	"errors"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func begin(t testing.TB, st store.Store, r job.Record, n store.Node) store.Claim {
	t.Helper()
	c, existing, err := st.Begin(t.Context(), r, n)
	if err != nil || existing != nil {
		t.Fatalf("begin %s: %v, %v", r.ID, existing, err)
	}
	return c
}

// A sync record runs from its first moment and is never in the queue.
func (s *suite) sync(t *testing.T) {
	st := s.open(t)
	c := begin(t, st, full("a"), node("n"))
	r := get(t, st, "a")
	if diff := diffRecords(c.Record, r); diff != "" {
		t.Errorf("the claim differs from the record (-claim +record):\n%s", diff)
	}
	if r.Status != job.Running || !r.Sync || r.StartedAt.IsZero() || !r.QueuedAt.IsZero() || c.Node != "n" || isClosed(c.Cancelled) {
		t.Errorf("began as %+v", c)
	}
	if n, err := st.Position(t.Context(), "a"); n != 0 || err != nil {
		t.Errorf("its place is %d, %v", n, err)
	}
	if err := st.Append(t.Context(), c, []job.Event{{Type: job.EventStdout, Data: []byte(`{"a":1}`)}}, 0); err != nil {
		t.Error(err)
	}
	if _, err := st.Cancel(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	receive(t, "Cancelled closed", c.Cancelled)
	if err := st.Finish(t.Context(), c, job.Succeeded, outcome("ok")); err != nil {
		t.Fatal(err)
	}
	if r := get(t, st, "a"); r.Status != job.Succeeded || r.Outcome.Stdout != "ok" {
		t.Errorf("ended as %+v", r)
	}
	if got, want := story(t, st, "a"), `status:running stdout:{"a":1} end:succeeded`; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	if list, _, err := st.ListDeliveries(t.Context(), nil, "a", 9, 0); err != nil || len(list) != 1 {
		t.Errorf("%d deliveries, %v", len(list), err)
	}
	released := begin(t, st, record("b"), node("n"))
	if err := st.Release(t.Context(), released); err != nil {
		t.Error(err)
	}
	if r := get(t, st, "b"); r.Status != job.Failed || r.Outcome.Error == nil || r.Outcome.Error.Type != "interrupted" {
		t.Errorf("given back it is %+v", r)
	}
}

func (s *suite) syncIdempotency(t *testing.T) {
	st := s.open(t)
	submit(t, st, keyed("waits", "me", "queue", "f"))
	c := begin(t, st, keyed("a", "me", "k", "f"), node("n"))
	begin(t, st, keyed("b", "you", "k", "f"), node("n")) // another owner's key is another
	for key, want := range map[string]string{"k": "a", "queue": "waits"} {
		_, existing, err := st.Begin(t.Context(), keyed("new", "me", key, "f"), node("n"))
		if err != nil || existing == nil || diffRecords(*existing, get(t, st, want)) != "" {
			t.Errorf("the same again: %+v, %v", existing, err)
		}
	}
	if _, _, err := st.Begin(t.Context(), keyed("new", "me", "k", "other"), node("n")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another payload: %v", err)
	}
	if _, err := st.Get(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something was stored: %v", err)
	}
	if err := st.Finish(t.Context(), c, job.Failed, outcome("")); err != nil {
		t.Fatal(err)
	}
	_, existing, err := st.Begin(t.Context(), keyed("new", "me", "k", "f"), node("n"))
	if err != nil || existing == nil || existing.Status != job.Failed {
		t.Errorf("after the end: %+v, %v", existing, err)
	}
	if again := submit(t, st, keyed("new", "me", "k", "f"))[0]; again.ID != "a" {
		t.Errorf("submitted with the same key: %s", again.ID)
	}
}

// An id that is taken is refused, and whoever has it is not disturbed.
func (s *suite) syncTakenID(t *testing.T) {
	st := s.open(t)
	c := begin(t, st, record("a"), node("n"))
	for _, bad := range []job.Record{record("a"), record("")} {
		if _, _, err := st.Begin(t.Context(), bad, node("n")); job.KindOf(err) != job.KindInvalid {
			t.Errorf("the id %q: %v", bad.ID, err)
		}
	}
	if _, err := st.Cancel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	receive(t, "Cancelled closed", c.Cancelled)
	if err := st.Finish(t.Context(), c, job.Cancelled, outcome("")); err != nil {
		t.Error(err)
	}
}
