package queue

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A large job is overtaken by small ones of the other class, though not for
// ever: whenever one of those ends, another one waits.
func TestLargeBesideTheOtherClass(t *testing.T) {
	for name, large := range map[string]Want{
		"out of the queue": {Class: Async, Memory: 80, MemoryOnly: true},
		"on the line":      {Class: Sync, Memory: 80},
	} {
		t.Run(name, func(t *testing.T) {
			queueAt(t, Budget{Slots: 10, Reserved: 1, Memory: 100, Waiting: 10}, func(ctx context.Context, l *line) {
				small := Want{Class: 1 - large.Class, Memory: 30}
				for i := range 4 {
					l.ask(ctx, fmt.Sprint(i), small)
				}
				l.expect("0", "1", "2")
				l.ask(ctx, "large", large)
				for i := range passedMost {
					l.leave(fmt.Sprint(i))
					l.expect(fmt.Sprint(i + 3))
					l.ask(ctx, fmt.Sprint(i+4), small)
				}
				l.expect()
				for i := range 3 {
					l.leave(fmt.Sprint(passedMost + i))
				}
				l.expect("large")
				l.leave("large")
				l.expect(fmt.Sprint(passedMost + 3))
			})
		})
	}
}

// path is one job on its way: out of the queue it has a slot first, then memory.
type path struct {
	memory       int64
	class        Class
	slot, second *waiter // second is of those out of the queue
}

// runs reports whether it has all that it needs.
func (p *path) runs() bool {
	return granted(p.slot) && (p.class == Sync || p.second != nil && granted(p.second))
}

func granted(w *waiter) bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// Whatever comes, something runs or nothing waits: nobody holds what another
// needs while waiting for what that one holds.
func TestSlotsGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots, reserved := rapid.IntRange(1, 4).Draw(t, "slots"), rapid.IntRange(0, 1).Draw(t, "reserved")
		s := NewSlots(Budget{Slots: slots, Reserved: reserved, Memory: 100, Waiting: 1000})
		var paths []*path
		come := func() {
			p := &path{class: Class(min(1, rapid.IntRange(0, 3).Draw(t, "class"))), memory: rapid.SampledFrom([]int64{10, 30, 80}).Draw(t, "memory")}
			want := Want{Class: p.class, Priority: rapid.IntRange(1, 4).Draw(t, "priority")}
			if p.class == Sync {
				want.Memory = p.memory
			}
			var err error
			if p.slot, err = s.enqueue(want); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, p)
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "come") {
				come()
			} else {
				paths = goOn(t, s, paths)
			}
		}
		for len(paths) > 0 {
			paths = goOn(t, s, paths)
		}
		if u := s.Usage(); u != (Usage{}) {
			t.Fatalf("at the end %+v", u)
		}
	})
}

// goOn has those with a slot ask for their memory, and ends one that runs.
func goOn(t *rapid.T, s *Slots, paths []*path) []*path {
	for _, p := range paths {
		if p.class == Async && p.second == nil && granted(p.slot) {
			var err error
			if p.second, err = s.enqueue(Want{Class: Async, Memory: p.memory, MemoryOnly: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, p := range paths {
		if !p.runs() {
			continue
		}
		if p.second != nil {
			s.release(p.second.Want)
		}
		s.release(p.slot.Want)
		return append(paths[:i:i], paths[i+1:]...)
	}
	for _, p := range paths { // those that have just got a slot ask next time
		if p.class == Async && p.second == nil && granted(p.slot) {
			return paths
		}
	}
	if len(paths) > 0 {
		t.Fatalf("%d wait and nothing runs: %+v", len(paths), s.Usage())
	}
	return paths
}
