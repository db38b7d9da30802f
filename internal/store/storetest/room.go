package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Of those that submit at once no more are accepted than fit. Some may be
// refused in the crowd, but not all, and what is left free is so afterwards.
func (s *suite) queueFullAtOnce(t *testing.T) {
	st := s.open(t)
	const most = 20
	var accepted atomic.Int64
	var wg sync.WaitGroup
	for i := range 3 * most {
		wg.Go(func() {
			_, err := st.Submit(t.Context(), records(fmt.Sprint("r", i), 1), most)
			if err == nil {
				accepted.Add(1)
			} else if !errors.Is(err, store.ErrQueueFull) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stats, err := st.Stats(t.Context())
	if err != nil || int64(stats.Queued) != accepted.Load() || stats.Queued > most || stats.Queued == 0 {
		t.Errorf("%d were accepted, and %+v, %v", accepted.Load(), stats, err)
	}
	for i := stats.Queued; i <= most; i++ {
		_, err := st.Submit(t.Context(), records(fmt.Sprint("x", i), 1), most)
		if full := errors.Is(err, store.ErrQueueFull); full != (i == most) {
			t.Errorf("when %d wait: %v", i, err)
		}
	}
}

// The bound counts what came into the queue otherwise than by Submit, at once.
func (s *suite) queueFullElsewhere(t *testing.T) {
	const most = 3
	for name, fill := range map[string]func(st store.Store, claims <-chan held){
		"a batch": func(st store.Store, _ <-chan held) {
			submitBatch(t, st, store.Batch{ID: "b"}, 9, most) // of which one is let in
			if _, err := st.Submit(t.Context(), []job.Record{record("beside")}, most); err != nil {
				t.Errorf("the half that batches leave: %v", err)
			}
		},
		"a retry": func(st store.Store, claims <-chan held) {
			h := receive(t, "a claim", claims)
			submit(t, st, records("r", most-2)...)
			if _, err := st.Submit(t.Context(), []job.Record{record("more")}, most); err != nil {
				t.Fatal(err)
			}
			if err := st.Retry(t.Context(), h.Claim, job.Failure{}, time.Time{}); err != nil {
				t.Fatal(err)
			}
		},
		"what is known": func(st store.Store, claims <-chan held) {
			receive(t, "a claim", claims)
			if _, err := st.Submit(t.Context(), []job.Record{keyed("k1", "", "1", "f"), keyed("k2", "", "2", "f")}, most); err != nil {
				t.Fatal(err)
			}
			// Three are asked for, one is new, and it is the last that fits.
			rs, err := st.Submit(t.Context(), []job.Record{keyed("x", "", "1", "f"), keyed("new", "", "3", "f"), keyed("y", "", "3", "f")}, most)
			if err != nil || rs[0].ID != "k1" || rs[1].ID != "new" || rs[2].ID != "new" {
				t.Errorf("one new among known ones: %v, %v", rs, err)
			}
		},
	} {
		st := s.open(t)
		// So that the store has counted the room there is.
		if _, err := st.Submit(t.Context(), []job.Record{record("first")}, most); err != nil {
			t.Fatal(err)
		}
		var claims <-chan held
		if name != "a batch" {
			claims, _ = collect(t, st, "n", 1)
		}
		fill(st, claims)
		if _, err := st.Submit(t.Context(), []job.Record{record("last")}, most); !errors.Is(err, store.ErrQueueFull) {
			t.Errorf("after %s filled the queue: %v", name, err)
		}
	}
}

// What waits for its time fills nobody's queue and holds up no batch; each
// owner may have half as much of it as the queue is long.
func (s *suite) queueFullLater(t *testing.T) {
	st := s.open(t)
	const most = 10
	submitAt := func(id, owner string, in time.Duration) error {
		r := keyed(id, owner, "key-"+id, "f")
		if in > 0 {
			r.Request.RunAt = time.Now().Add(in)
		}
		_, err := st.Submit(t.Context(), []job.Record{r}, most)
		return err
	}
	for _, owner := range []string{"", "me", "you"} {
		for i := range most / 2 {
			if err := submitAt(fmt.Sprint(owner, i), owner, 24*time.Hour); err != nil {
				t.Fatalf("number %d of %q: %v", i, owner, err)
			}
		}
		if err := submitAt("more of "+owner, owner, 24*time.Hour); !errors.Is(err, store.ErrQueueFull) {
			t.Errorf("more than half of the queue for %q: %v", owner, err)
		}
		if err := submitAt(owner+"0", owner, 24*time.Hour); err != nil {
			t.Errorf("what was accepted before: %v", err)
		}
	}
	submitBatch(t, st, store.Batch{ID: "b"}, 2*most, most)
	claims, server := collect(t, st, "n", 1)
	for range 2 * most {
		succeed(t, st, receive(t, "a claim of the batch", claims))
	}
	server.stop()
	for i := range most {
		if err := submitAt(fmt.Sprint("now", i), "me", time.Duration(i%2)*10*time.Second); err != nil {
			t.Errorf("when %d wait that may run, or may soon: %v", i, err)
		}
	}
	if err := submitAt("last", "me", 0); !errors.Is(err, store.ErrQueueFull) {
		t.Errorf("when the queue is full: %v", err)
	}
	if _, err := st.Cancel(t.Context(), "me3"); err != nil {
		t.Fatal(err)
	}
	if err := submitAt("again", "me", 24*time.Hour); err != nil {
		t.Errorf("in the place of one that was cancelled, when the queue is full: %v", err)
	}
}
