package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// A claim shows the record as it is then, and so does the store.
func (s *suite) work(t *testing.T) {
	st := s.open(t)
	before := time.Now()
	h := runOne(t, st, full("a"))
	r := get(t, st, "a")
	if diff := diffRecords(h.Record, r); diff != "" {
		t.Errorf("the claim differs from the record (-claim +record):\n%s", diff)
	}
	if r.Status != job.Running || r.StartedAt.Before(before) || r.Attempt != 0 || h.Node != "n" || isClosed(h.Cancelled) {
		t.Errorf("claimed as %+v", h.Claim)
	}
	succeed(t, st, h)
	if r = get(t, st, "a"); r.Status != job.Succeeded || len(r.Attempts) != 1 || r.Attempts[0].Status != job.Succeeded {
		t.Errorf("ended as %+v", r)
	}
}

// Entries are taken by priority, then by age; 0 is the default priority.
func (s *suite) workOrder(t *testing.T) {
	st := s.open(t)
	for i, group := range [][]int{{4, 2}, {3}, {1, 0, 4}, {2, 1}} {
		rs := records(fmt.Sprint(i), len(group))
		for n, priority := range group {
			rs[n].Request.Priority = priority
		}
		submit(t, st, rs...)
	}
	claims, _ := collect(t, st, "n", 1)
	for i, want := range []string{"2-0", "3-1", "0-1", "2-1", "3-0", "1-0", "0-0", "2-2"} {
		h := receive(t, "a claim", claims)
		if h.Record.ID != want {
			t.Errorf("taken as number %d is %s, want %s", i, h.Record.ID, want)
		}
		succeed(t, st, h)
	}
}

// No more run than there are slots, and all slots are used.
func (s *suite) workSlots(t *testing.T) {
	st := s.open(t)
	const n, most = 40, 3
	var running, highest atomic.Int32
	var done sync.WaitGroup
	done.Add(n)
	full := make(chan struct{})
	serve(t, st, "n", most, func(ctx context.Context, c store.Claim) {
		defer done.Done()
		now := running.Add(1)
		defer running.Add(-1)
		for high := highest.Load(); now > high && !highest.CompareAndSwap(high, now); high = highest.Load() {
		}
		if now == most && c.Record.ID < "r-3" {
			close(full)
		}
		if c.Record.ID <= "r-2" { // the first ones wait for each other
			receive(t, "all slots in use", full)
		}
		if err := st.Finish(ctx, c, job.Succeeded, outcome("")); err != nil {
			t.Error(err)
		}
	})
	rs := records("r", n)
	for i := range rs {
		rs[i].ID = fmt.Sprintf("s-%02d", i)
		if i < most {
			rs[i].ID = fmt.Sprintf("r-%d", i)
		}
	}
	submit(t, st, rs...)
	done.Wait()
	if got := highest.Load(); got != most {
		t.Errorf("%d ran at once, want %d", got, most)
	}
}

// When ctx ends nothing more is taken, and Work returns after the last handle,
// whose context goes on.
func (s *suite) workDrains(t *testing.T) {
	st := s.open(t)
	submit(t, st, records("r", 3)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started, goOn, worked := make(chan context.Context, 3), make(chan struct{}), make(chan error, 1)
	go func() {
		worked <- st.Work(ctx, node("n"), newSlots(2), func(ctx context.Context, c store.Claim) {
			started <- ctx
			<-goOn
			if err := st.Finish(ctx, c, job.Succeeded, outcome("")); err != nil {
				t.Error(err)
			}
		})
	}()
	handles := []context.Context{receive(t, "the first", started), receive(t, "the second", started)}
	cancel()
	select {
	case err := <-worked:
		t.Errorf("Work returned while handles ran: %v", err)
	case <-time.After(50 * time.Millisecond): // that nothing happens has no event
	}
	for _, h := range handles {
		if h.Err() != nil {
			t.Errorf("the context of a handle ended: %v", h.Err())
		}
	}
	close(goOn)
	if err := receive(t, "the end of Work", worked); err != nil {
		t.Errorf("work: %v", err)
	}
	if stats, err := st.Stats(t.Context()); err != nil || stats.Queued != 1 || stats.Running != 0 || len(started) != 0 {
		t.Errorf("afterwards %+v, %v", stats, err)
	}
}

// What is to run later waits for it, and holds nobody up.
func (s *suite) workScheduled(t *testing.T) {
	st := s.open(t)
	// Databases keep milliseconds at least.
	at := time.Now().Add(600 * time.Millisecond).Truncate(time.Millisecond)
	later, past := record("later"), record("past")
	later.Request.RunAt, past.Request.RunAt = at, at.Add(-time.Hour)
	later.Request.Priority = 1
	submit(t, st, later, past, record("now"))
	claims, _ := collect(t, st, "n", 1)
	var order []string
	for range 3 {
		h := receive(t, "a claim", claims)
		order = append(order, h.Record.ID)
		if h.Record.ID == "later" && time.Now().Before(at) {
			t.Errorf("it ran %v too early", time.Until(at))
		}
		succeed(t, st, h)
	}
	if late := time.Since(at); late > 5*time.Second {
		t.Errorf("it ran %v too late", late)
	}
	if slices.Index(order, "later") != 2 {
		t.Errorf("the order is %v", order)
	}
}

// A handle that returns without a report has its job run again after a second.
func (s *suite) workAbandoned(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	claims, _ := collect(t, st, "n", 1)
	h := receive(t, "the first claim", claims)
	before := time.Now()
	h.end()
	again := receive(t, "the second claim", claims)
	if took := time.Since(before); took < time.Second-time.Millisecond {
		t.Errorf("it ran again after %v", took)
	}
	if r := again.Record; r.Attempt != 0 || r.Interruptions != 1 || len(r.Attempts) != 1 || r.Attempts[0].Status != job.Queued {
		t.Errorf("it runs again as %+v", r)
	}
	if err := st.Finish(t.Context(), h.Claim, job.Failed, outcome("")); !errors.Is(err, store.ErrLost) {
		t.Errorf("the first claim is answered %v", err)
	}
	succeed(t, st, again)
}

func (s *suite) workOneAtATime(t *testing.T) {
	st := s.open(t)
	nothing := func(context.Context, store.Claim) {}
	if err := st.Work(t.Context(), store.Node{Lease: time.Minute}, newSlots(1), nothing); job.KindOf(err) != job.KindInvalid {
		t.Errorf("a node without a name: %v", err)
	}
	h := runOne(t, st, record("a"))
	if err := st.Work(t.Context(), node("m"), newSlots(1), nothing); job.KindOf(err) != job.KindInvalid {
		t.Errorf("a second call: %v", err)
	}
	succeed(t, st, h)
}

// One call after the other works.
func (s *suite) workAgain(t *testing.T) {
	st := s.open(t)
	for _, id := range []string{"a", "b"} {
		submit(t, st, record(id))
		claims, w := collect(t, st, "n", 1)
		succeed(t, st, receive(t, "a claim", claims))
		w.stop()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
