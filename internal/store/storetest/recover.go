package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// life is a server process: once it is dead, nothing that it does reaches the
// database.
type life struct {
	store.Store
	dead *atomic.Bool
}

var errDead = errors.New("the process is dead")

// live opens a database for a process that will crash.
func live(t testing.TB, db Database) life {
	t.Helper()
	var dead atomic.Bool
	return life{start(t, db, Options{Fault: func(string) error {
		if dead.Load() {
			return errDead
		}
		return nil
	}}), &dead}
}

// crash ends the process and what it was working at.
func (l life) crash(t testing.TB, working ...*server) {
	t.Helper()
	l.dead.Store(true)
	for _, w := range working {
		w.kill()
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing the store: %v", err)
	}
}

// recovered calls Recover and answers "id:status:interruptions" of what it
// changed, sorted.
func recovered(t testing.TB, st store.Store, name string, now time.Time, limit int) []string {
	t.Helper()
	rs, err := st.Recover(t.Context(), name, now, limit)
	if err != nil {
		t.Fatalf("recover: %v", err)
	}
	list := make([]string, len(rs))
	for i, r := range rs {
		if diff := diffRecords(r, get(t, st, r.ID)); diff != "" {
			t.Errorf("answered otherwise than stored (-answered +stored):\n%s", diff)
		}
		list[i] = fmt.Sprintf("%s:%s:%d", r.ID, r.Status, r.Interruptions)
	}
	slices.Sort(list)
	return list
}

func sameList(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A server that is started again takes its own claims back at once, whatever
// their leases, and nobody else's.
func (s *suite) recoverRestart(t *testing.T) {
	db := s.New(t)
	st := live(t, db)
	never := record("c-never")
	never.Request.Retry, never.Request.WebhookURL = job.RetryNever, "https://example.com"
	submit(t, st, record("a"), record("b"), never)
	claims, w := collect(t, st, "n", 3)
	var olds []store.Claim
	for range 3 {
		olds = append(olds, receive(t, "a claim", claims).Claim)
	}
	olds = append(olds, begin(t, st, record("d-sync"), node("n")))
	other := begin(t, st, record("e-other"), node("m"))
	submit(t, st, record("f"))
	st.crash(t, w)

	next := start(t, db, Options{})
	report := func(c store.Claim, want error) {
		t.Helper()
		if err := next.Finish(t.Context(), c, job.Succeeded, outcome("")); !errors.Is(err, want) {
			t.Errorf("a report of an earlier life on %s: %v, want %v", c.Record.ID, err, want)
		}
	}
	for _, c := range append(olds, other) {
		report(c, store.ErrLost)
	}
	sameList(t, "recovered", recovered(t, next, "n", time.Now(), 3),
		[]string{"a:queued:1", "b:queued:1", "c-never:failed:1", "d-sync:failed:1"})
	for _, c := range olds {
		want := store.ErrLost
		if c.Record.ID > "c" {
			want = store.ErrEnded
		}
		report(c, want)
	}
	for _, id := range []string{"c-never", "d-sync"} {
		if r := get(t, next, id); r.Outcome.Error.Type != "interrupted" || r.Outcome.EndedBy.Actor != job.ActorHost || len(r.Attempts) != 1 {
			t.Errorf("ended as %+v", r)
		}
		if got, want := story(t, next, id), "status:running end:failed"; got != want {
			t.Errorf("the log is %s, want %s", got, want)
		}
	}
	if list, _, err := next.ListDeliveries(t.Context(), nil, "c-never", 9, 0); err != nil || len(list) != 1 {
		t.Errorf("%d deliveries, %v", len(list), err)
	}
	if r := get(t, next, "e-other"); r.Status != job.Running {
		t.Errorf("another's is %+v", r)
	}
	sameList(t, "recovered again", recovered(t, next, "n", time.Now(), 3), []string{})
	again, _ := collect(t, next, "n", 1)
	for _, want := range []string{"a", "b", "f"} { // as before the crash
		h := receive(t, "a claim", again)
		if h.Record.ID != want {
			t.Errorf("%s runs, want %s", h.Record.ID, want)
		}
		succeed(t, next, h)
	}
	if got, want := story(t, next, "a"), "status:running status:queued status:running end:succeeded"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
}

// A claim stands for its lease.
func (s *suite) recoverLease(t *testing.T) {
	st := s.open(t)
	h := runOne(t, st, record("a"))
	c := begin(t, st, record("sync"), node("n"))
	now := time.Now()
	for _, name := range []string{"n", "other"} {
		sameList(t, "while the leases stand", recovered(t, st, name, now.Add(50*time.Second), 3), []string{})
	}
	sameList(t, "afterwards", recovered(t, st, "other", now.Add(2*time.Minute), 3), []string{"a:queued:1", "sync:failed:1"})
	if err := st.Finish(t.Context(), h.Claim, job.Succeeded, outcome("")); !errors.Is(err, store.ErrLost) {
		t.Errorf("the end of a lost claim: %v", err)
	}
	if err := st.Finish(t.Context(), c, job.Succeeded, outcome("")); !errors.Is(err, store.ErrEnded) {
		t.Errorf("the end of an ended one: %v", err)
	}
	h.end()
}

// Queued records run again until they were interrupted more than limit times;
// what is given back by Release counts.
func (s *suite) recoverLimit(t *testing.T) {
	st := s.open(t)
	claims, _ := collect(t, st, "n", 1)
	for limit := range 3 {
		id := fmt.Sprint("limit", limit)
		submit(t, st, record(id))
		for n := 1; n <= limit+1; n++ {
			h := receive(t, "a claim", claims)
			want := fmt.Sprintf("%s:queued:%d", id, n)
			if n > limit {
				want = fmt.Sprintf("%s:failed:%d", id, n)
			}
			sameList(t, "recovered", recovered(t, st, "m", time.Now().Add(time.Hour), limit), []string{want})
			h.end()
		}
		if r := get(t, st, id); r.Outcome.Error == nil || r.Outcome.Error.Type != "interrupted" || len(r.Attempts) != limit+1 {
			t.Errorf("ended as %+v", r)
		}
	}
}

// What was asked to end ends as cancelled when its server dies, and what ended
// is left alone; more are taken back than fit into one transaction.
func (s *suite) recoverEnds(t *testing.T) {
	st := s.open(t)
	const n = 120
	submit(t, st, records("r", n)...)
	claims, _ := collect(t, st, "n", n)
	for range n {
		h := receive(t, "a claim", claims)
		switch h.Record.ID {
		case "r-1":
			if _, err := st.Cancel(t.Context(), "r-1"); err != nil {
				t.Fatal(err)
			}
		case "r-2":
			succeed(t, st, h)
		}
	}
	rs, err := st.Recover(t.Context(), "m", time.Now().Add(time.Hour), 3)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[job.Status]int{}
	for _, r := range rs {
		counts[r.Status]++
	}
	if counts[job.Queued]+counts[job.Running] != n-2 || counts[job.Cancelled] != 1 || len(rs) != n-1 {
		t.Errorf("taken back were %v", counts)
	}
	if r := get(t, st, "r-1"); r.Status != job.Cancelled {
		t.Errorf("what was to end is %+v", r)
	}
}

// Renew extends the leases of its node's claims, sync ones included.
func (s *suite) renew(t *testing.T) {
	st := s.open(t)
	if err := st.Renew(t.Context(), "n", time.Now()); err != nil {
		t.Errorf("nothing to renew: %v", err)
	}
	h := runOne(t, st, record("a"))
	c := begin(t, st, record("sync"), node("n"))
	begin(t, st, record("other"), node("m"))
	now := time.Now()
	if err := st.Renew(t.Context(), "n", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	sameList(t, "recovered", recovered(t, st, "m", now.Add(50*time.Minute), 3), []string{"other:failed:1"})
	if isClosed(h.Cancelled) || isClosed(c.Cancelled) {
		t.Error("Cancelled is closed of claims that stand")
	}
	if err := st.Finish(t.Context(), c, job.Succeeded, outcome("")); err != nil {
		t.Error(err)
	}
	succeed(t, st, h)
	if err := st.Renew(t.Context(), "n", now.Add(time.Hour)); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// Whoever holds a lost claim hears of it, even where the record was claimed
// again by the same server.
func (s *suite) renewLost(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	claims, _ := collect(t, st, "n", 2)
	h := receive(t, "a claim", claims)
	c := begin(t, st, record("sync"), node("n"))
	rs, err := st.Recover(t.Context(), "m", time.Now().Add(time.Hour), 3)
	if err != nil || len(rs) != 2 { // how they are, the second claim may change already
		t.Errorf("recovered: %v, %v", rs, err)
	}
	again := receive(t, "the second claim", claims)
	if err := st.Renew(t.Context(), "n", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	receive(t, "Cancelled closed", h.Cancelled)
	receive(t, "Cancelled of the sync one closed", c.Cancelled)
	if isClosed(again.Cancelled) {
		t.Error("Cancelled is closed of the claim that stands")
	}
	h.end()
	succeed(t, st, again)
}
