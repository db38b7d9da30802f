package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/job"
)

// line is a queue of people at slots: each waits in a goroutine of its own and
// says when it has got one.
type line struct {
	t     *testing.T
	slots *Slots
	got   []string
	held  map[string]func()
	mu    sync.Mutex
}

func (l *line) ask(ctx context.Context, name string, want Want) {
	go func() {
		release, err := l.slots.Acquire(ctx, want)
		if err != nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got = append(l.got, name)
		l.held[name] = release
	}()
	synctest.Wait()
}

// leave lets go of a slot and says who has got one since the last look.
func (l *line) leave(name string) {
	l.t.Helper()
	l.mu.Lock()
	release := l.held[name]
	delete(l.held, name)
	l.mu.Unlock()
	if release == nil {
		l.t.Fatalf("%s has no slot", name)
	}
	release()
	release() // once is enough
	synctest.Wait()
}

func (l *line) expect(names ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.got) != len(names) {
		l.t.Fatalf("slots went to %v, want %v", l.got, names)
	}
	for i, name := range names {
		if l.got[i] != name {
			l.t.Fatalf("slots went to %v, want %v", l.got, names)
		}
	}
	l.got = nil
}

func queueAt(t *testing.T, b Budget, script func(ctx context.Context, l *line)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := &line{t: t, slots: NewSlots(b), held: map[string]func(){}}
		script(ctx, l)
		cancel()
		synctest.Wait()
		l.mu.Lock()
		for _, release := range l.held {
			release()
		}
		l.mu.Unlock()
		if u := l.slots.Usage(); u != (Usage{}) {
			t.Errorf("afterwards: %+v", u)
		}
	})
}

func TestPriorityThenArrival(t *testing.T) {
	queueAt(t, Budget{Slots: 1, Waiting: 10}, func(ctx context.Context, l *line) {
		l.ask(ctx, "first", Want{Priority: 2})
		l.ask(ctx, "late", Want{Priority: 2})
		l.ask(ctx, "later", Want{Priority: 2})
		l.ask(ctx, "urgent", Want{Priority: 1})
		l.expect("first")
		l.leave("first")
		l.expect("urgent")
		l.leave("urgent")
		l.leave("late")
		l.expect("late", "later")
	})
}

// One who submits a hundred jobs does not keep another from the next slot.
func TestFairBetweenKeys(t *testing.T) {
	queueAt(t, Budget{Slots: 2, Waiting: 10}, func(ctx context.Context, l *line) {
		for _, name := range []string{"a1", "a2", "a3", "a4"} {
			l.ask(ctx, name, Want{Key: "a"})
		}
		l.ask(ctx, "b1", Want{Key: "b"})
		l.expect("a1", "a2")
		l.leave("a1")
		l.expect("b1")
	})
}

func TestSharesOfClasses(t *testing.T) {
	queueAt(t, Budget{Slots: 3, Reserved: 1, Waiting: 10}, func(ctx context.Context, l *line) {
		for _, name := range []string{"q1", "q2", "q3"} {
			l.ask(ctx, name, Want{Class: Async})
		}
		l.expect("q1", "q2")
		l.ask(ctx, "s1", Want{Class: Sync})
		l.ask(ctx, "s2", Want{Class: Sync})
		l.expect("s1")
		l.leave("q1")
		l.expect("s2") // either could have it; sync goes first
		l.leave("q2")
		l.expect("q3")
	})
}

// A large job is not overtaken for ever by small ones.
func TestMemoryBudget(t *testing.T) {
	queueAt(t, Budget{Slots: 10, Memory: 100, Waiting: 10}, func(ctx context.Context, l *line) {
		l.ask(ctx, "small", Want{Memory: 30})
		l.ask(ctx, "large", Want{Memory: 80})
		l.ask(ctx, "tiny", Want{Memory: 25})
		l.expect("small")
		l.leave("small")
		l.expect("large")
		l.leave("large")
		l.expect("tiny")
		_, err := l.slots.Acquire(ctx, Want{Memory: 101})
		if job.KindOf(err) != job.KindInvalid {
			t.Errorf("more than there is: %v", err)
		}
	})
}

func TestTooManyWait(t *testing.T) {
	queueAt(t, Budget{Slots: 1, Waiting: 1}, func(ctx context.Context, l *line) {
		l.ask(ctx, "runs", Want{})
		l.ask(ctx, "waits", Want{})
		if _, err := l.slots.Acquire(ctx, Want{}); !errors.Is(err, ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		l.expect("runs")
	})
}

func TestTryAcquire(t *testing.T) {
	queueAt(t, Budget{Slots: 2, Memory: 10, Waiting: 10}, func(ctx context.Context, l *line) {
		first, ok := l.slots.TryAcquire(Want{Memory: 5})
		if !ok {
			t.Fatal("none of two is free")
		}
		if _, ok := l.slots.TryAcquire(Want{Memory: 6}); ok {
			t.Error("more memory than there is")
		}
		l.ask(ctx, "large", Want{Memory: 6})
		if _, ok := l.slots.TryAcquire(Want{Memory: 1}); ok {
			t.Error("it went ahead of who waits")
		}
		first()
		first()
		synctest.Wait()
		l.expect("large")
	})
}

// What came out of the queue waits for its memory with its slot, and nothing
// else is taken out meanwhile.
func TestMemoryBesideASlot(t *testing.T) {
	queueAt(t, Budget{Slots: 3, Memory: 100, Waiting: 10}, func(ctx context.Context, l *line) {
		l.ask(ctx, "sync", Want{Class: Sync, Memory: 60})
		l.ask(ctx, "slot", Want{Class: Async})
		l.ask(ctx, "memory", Want{Class: Async, Memory: 50, MemoryOnly: true})
		l.expect("sync", "slot")
		if _, ok := l.slots.TryAcquire(Want{Class: Async}); ok {
			t.Error("more was taken out of the queue")
		}
		l.leave("sync")
		l.expect("memory")
		if u := l.slots.Usage(); u.Running != 1 || u.Memory != 50 {
			t.Errorf("usage %+v", u)
		}
	})
}

// Who has a slot waits for memory only, not for those who wait for his slot.
func TestMemoryBeforeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, slots: NewSlots(Budget{Slots: 1, Memory: 100}), held: map[string]func(){}}
		l.ask(t.Context(), "slot", Want{Class: Async})
		l.ask(t.Context(), "next", Want{Class: Async}) // priority 0 goes before any
		l.ask(t.Context(), "memory", Want{Class: Async, Priority: 2, Memory: 50, MemoryOnly: true})
		l.expect("slot", "memory")
		l.leave("memory")
		l.leave("slot")
		l.expect("next")
		l.leave("next")
	})
}

// Whoever gives up waiting is in nobody's way.
func TestGivingUp(t *testing.T) {
	queueAt(t, Budget{Slots: 2, Memory: 100, Waiting: 10}, func(ctx context.Context, l *line) {
		l.ask(ctx, "runs", Want{Memory: 50})
		impatient, cancel := context.WithCancel(ctx)
		l.ask(impatient, "large", Want{Memory: 90})
		l.ask(ctx, "small", Want{Memory: 10})
		l.expect("runs")
		cancel()
		synctest.Wait()
		l.expect("small")
	})
}

// Whatever the order of coming and going, the budget holds, nobody who fits
// waits alone, and at the end everything is free.
func TestSlotsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Budget{
			Slots: rapid.IntRange(1, 5).Draw(t, "slots"), Reserved: rapid.IntRange(0, 3).Draw(t, "reserved"),
			Memory: rapid.Int64Range(0, 100).Draw(t, "memory"), Waiting: 1000,
		}
		s := NewSlots(b)
		var waiters []*waiter
		held := map[*waiter]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "come") || len(held) == 0 {
				want := Want{
					Class: Class(rapid.IntRange(0, 1).Draw(t, "class")), Priority: rapid.IntRange(1, 4).Draw(t, "priority"),
					Key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), Memory: rapid.Int64Range(0, max(0, b.Memory)).Draw(t, "want"),
				}
				w, err := s.enqueue(want)
				if err != nil {
					t.Fatal(err)
				}
				waiters = append(waiters, w)
			} else {
				for w := range held {
					s.release(w.Want)
					delete(held, w)
					break
				}
			}
			waiters = checkSlots(t, s, waiters, held)
		}
		for len(held) > 0 {
			for w := range held {
				s.release(w.Want)
				delete(held, w)
			}
			waiters = checkSlots(t, s, waiters, held)
		}
		if u := s.Usage(); u != (Usage{}) || len(waiters) > 0 || len(s.running) > 0 {
			t.Fatalf("at the end %+v, %d wait, keys %v", u, len(waiters), s.running)
		}
	})
}

func checkSlots(t *rapid.T, s *Slots, waiters []*waiter, held map[*waiter]bool) (waiting []*waiter) {
	for _, w := range waiters {
		select {
		case <-w.ready:
			held[w] = true
		default:
			waiting = append(waiting, w)
		}
	}
	var used [classes]int
	var memory int64
	for w := range held {
		used[w.Class]++
		memory += w.Memory
	}
	if used[Sync]+used[Async] > s.budget.Slots || s.budget.Memory > 0 && memory > s.budget.Memory {
		t.Fatalf("%v slots and %d bytes of %+v", used, memory, s.budget)
	}
	for class, n := range used {
		if n > s.budget.Slots-s.budget.Reserved {
			t.Fatalf("class %d took the share of the other: %v of %+v", class, used, s.budget)
		}
		if w := s.first(Class(class)); w != nil && s.fits(w.Want) {
			t.Fatalf("%+v fits and waits", w.Want)
		}
	}
	return waiting
}
