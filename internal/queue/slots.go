package queue

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/takovm/tako/internal/job"
)

// Class is the path on which work comes in. Each has a share of the slots that
// the other cannot take.
type Class int

const (
	Sync  Class = iota // somebody waits on the line
	Async              // out of the queue
	classes
)

// Budget is what may run at once on this machine.
type Budget struct {
	// Slots bound attempts. At least 1.
	Slots int
	// Reserved is how many of the slots only one class may take, for each
	// class; with fewer than two slots nothing can be.
	Reserved int
	// Memory bounds the sum of the memory limits of what runs, in bytes; 0 is
	// no bound.
	Memory int64
	// Waiting bounds who waits for a slot in class Sync. Of more, those are
	// refused whose key has its share, which is this bound divided among the
	// keys that wait.
	Waiting int
}

// Want is what somebody asks for.
type Want struct {
	Class    Class
	Priority int    // 1 goes first
	Key      string // of the caller; those who run least go first
	Memory   int64  // bytes
	// MemoryOnly asks for memory beside a slot that one has already: what comes
	// out of the queue is known only when it has one.
	MemoryOnly bool
}

// ErrBusy refuses to let one more wait.
var ErrBusy = errors.New("too many wait for a free slot")

// Slots hand out the right to run. Among those who wait, priority decides, then
// how much the caller's key runs already, then who came first. Whoever is first
// and does not fit is waited for: nobody behind overtakes, or a large job would
// never run beside small ones. The other class may take the memory that comes
// free meanwhile, but only passedMost times.
type Slots struct {
	budget Budget

	mu      sync.Mutex
	used    [classes]int
	memory  int64
	running map[string]int // by key
	waiting []*waiter
	arrived int64
}

type waiter struct {
	Want
	n      int64         // order of arrival
	passed int           // how often the other class took memory that it waits for
	ready  chan struct{} // closed when it has a slot
}

// NewSlots returns slots within budget.
func NewSlots(budget Budget) *Slots {
	budget.Slots = max(1, budget.Slots)
	budget.Reserved = max(0, min(budget.Reserved, (budget.Slots-1)/int(classes-1)))
	return &Slots{budget: budget, running: map[string]int{}}
}

// Acquire waits for a slot. The release may be called more than once. It fails
// with ErrBusy, with a job.KindInvalid error for what can never fit, or with
// ctx's.
func (s *Slots) Acquire(ctx context.Context, want Want) (release func(), err error) {
	if err := s.Fit(want.Memory); err != nil {
		return nil, err
	}
	w, err := s.enqueue(want)
	if err != nil {
		return nil, err
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		if !s.leave(w) {
			s.release(want) // it was given meanwhile
		}
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() { s.release(want) }), nil
}

// Fit is a job.KindInvalid error for what can never run here: more memory than
// there is for all.
func (s *Slots) Fit(memory int64) error {
	if s.budget.Memory > 0 && memory > s.budget.Memory {
		return job.Errorf(job.KindInvalid, "%d bytes of memory are more than all sandboxes of this server may have together (%d)",
			memory, s.budget.Memory)
	}
	return nil
}

// TryAcquire takes a slot if there is one now and nobody waits for it.
func (s *Slots) TryAcquire(want Want) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waitingIn(want.Class) > 0 || !s.fits(want) {
		return nil, false
	}
	s.take(want)
	return sync.OnceFunc(func() { s.release(want) }), true
}

// take counts what runs. The caller holds the lock.
func (s *Slots) take(want Want) {
	s.memory += want.Memory
	s.passOver(want)
	if want.MemoryOnly {
		return
	}
	s.used[want.Class]++
	s.running[want.Key]++
}

func (s *Slots) enqueue(want Want) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want.Class == Sync && s.full(want.Key) && !s.fits(want) {
		return nil, ErrBusy
	}
	s.arrived++
	w := &waiter{Want: want, n: s.arrived, ready: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.grant()
	return w, nil
}

// full reports whether as many wait in class Sync as may, for a key: whoever came
// first and filled all places does not shut out the others. Those who come when
// all are full get less each, so what waits stays bounded, too.
func (s *Slots) full(key string) bool {
	if s.waitingIn(Sync) < s.budget.Waiting {
		return false
	}
	waiting := map[string]int{key: 0}
	for _, w := range s.waiting {
		if w.Class == Sync {
			waiting[w.Key]++
		}
	}
	return waiting[key] >= s.budget.Waiting/len(waiting)
}

// leave takes w out of those who wait; false when it does not wait any more.
func (s *Slots) leave(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, w)
	if i < 0 {
		return false
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.grant() // it may have been in somebody's way
	return true
}

func (s *Slots) release(want Want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.grant()
	s.memory -= want.Memory
	if want.MemoryOnly {
		return
	}
	s.used[want.Class]--
	if s.running[want.Key]--; s.running[want.Key] <= 0 {
		delete(s.running, want.Key)
	}
}

// grant gives slots to those who are first, each class for itself.
func (s *Slots) grant() {
	for {
		granted := false
		for class := range classes {
			w := s.first(class)
			if w == nil || !s.fits(w.Want) {
				continue
			}
			s.waiting = slices.DeleteFunc(s.waiting, func(other *waiter) bool { return other == w })
			s.take(w.Want)
			close(w.ready)
			granted = true
		}
		if !granted {
			return
		}
	}
}

// first is who goes next in a class.
func (s *Slots) first(class Class) *waiter {
	var best *waiter
	for _, w := range s.waiting {
		if w.Class == class && (best == nil || s.before(w, best)) {
			best = w
		}
	}
	return best
}

// before has those first that hold a slot and want memory only: behind somebody
// who waits for a slot they would wait for themselves.
func (s *Slots) before(a, b *waiter) bool {
	if a.MemoryOnly != b.MemoryOnly {
		return a.MemoryOnly
	}
	return cmp.Or(
		cmp.Compare(a.Priority, b.Priority),
		cmp.Compare(s.running[a.Key], s.running[b.Key]),
		cmp.Compare(a.n, b.n),
	) < 0
}

// fits reports whether want could run now. What is kept for who is starved is
// not to be had in the other class.
func (s *Slots) fits(want Want) bool {
	if s.budget.Memory > 0 && want.Memory > 0 {
		taken := s.memory
		if w := s.starved(); w != nil && w.Class != want.Class {
			taken += w.Memory
		}
		if taken+want.Memory > s.budget.Memory {
			return false
		}
	}
	return s.hasSlot(want)
}

// hasSlot reports whether there is a slot for want.
func (s *Slots) hasSlot(want Want) bool {
	if want.MemoryOnly {
		return true
	}
	total := 0
	for _, n := range s.used {
		total += n
	}
	return total < s.budget.Slots && s.used[want.Class] < s.budget.Slots-s.budget.Reserved
}

func (s *Slots) waitingIn(class Class) int {
	n := 0
	for _, w := range s.waiting {
		if w.Class == class {
			n++
		}
	}
	return n
}

// Usage is what runs and waits now.
type Usage struct {
	Running, Waiting int
	Memory           int64
}

// Usage counts.
func (s *Slots) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := Usage{Waiting: len(s.waiting), Memory: s.memory}
	for _, n := range s.used {
		u.Running += n
	}
	return u
}
