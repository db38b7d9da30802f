package webhook

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	firstWait = 10 * time.Second
	longWait  = time.Hour
)

// waitAfter is the time from the end of a try to the next one: 10 seconds after
// the first, then twice as long each time up to an hour, less up to a half of
// it. random is from 0 to 1.
func waitAfter(tries int, random float64) time.Duration {
	wait := longWait
	if tries < 10 {
		wait = min(firstWait<<max(tries-1, 0), longWait)
	}
	return wait - time.Duration(random*float64(wait)/2)
}

func random() float64 { return rand.Float64() }

// agenda remembers when tries that this process put off are due, so that they
// are not late by the time between two looks at the store. It is a hint: the
// store knows, and what does not fit is found by looking.
type agenda struct {
	mu      sync.Mutex
	due     []time.Time // in order
	changed chan struct{}
}

const agendaSize = 1024

func newAgenda() *agenda { return &agenda{changed: make(chan struct{}, 1)} }

// add notes a time, and tells whoever waits.
func (a *agenda) add(t time.Time) {
	a.mu.Lock()
	if len(a.due) < agendaSize {
		i, _ := slices.BinarySearchFunc(a.due, t, time.Time.Compare)
		a.due = slices.Insert(a.due, i, t)
	}
	a.mu.Unlock()
	a.look()
}

// look tells whoever waits that there may be something to do.
func (a *agenda) look() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// next drops what is due and answers how long it is until something is, at most
// longest.
func (a *agenda) next(now time.Time, longest time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.due) > 0 && !a.due[0].After(now) {
		a.due = slices.Delete(a.due, 0, 1)
	}
	if len(a.due) == 0 {
		return longest
	}
	return min(a.due[0].Sub(now), longest)
}
