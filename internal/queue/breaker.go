package queue

import (
	"context"
	"sync"
	"time"
)

// The breaker's numbers are the contract's.
const (
	breakerFailures  = 5 // in a row open it
	breakerRest      = 30 * time.Second
	breakerSuccesses = 2 // in a row close it again
)

// BreakerState is where the breaker stands.
type BreakerState string

const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half_open"
)

// BreakerStatus is a breaker as it is now.
type BreakerStatus struct {
	State               BreakerState
	Failures, Successes int       // in a row
	LastFailure         time.Time // zero for none
}

// breaker keeps work away from an engine that fails again and again. While it is
// open, queued jobs stay in the queue, where they lose nothing; those who wait on
// the line are told. After a rest the next ones try it.
type breaker struct {
	now func() time.Time

	mu                  sync.Mutex
	open                bool // or half open, when the rest is over
	failures, successes int
	last                time.Time
}

// status is where it stands.
func (b *breaker) status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerStatus{State: BreakerClosed, Failures: b.failures, Successes: b.successes, LastFailure: b.last}
	switch {
	case b.open && b.now().Sub(b.last) < breakerRest:
		s.State = BreakerOpen
	case b.open:
		s.State = BreakerHalfOpen
	}
	return s
}

// report counts the end of an attempt.
func (b *breaker) report(failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if failed {
		b.failures, b.successes, b.last = b.failures+1, 0, b.now()
		b.open = b.open || b.failures >= breakerFailures
		return
	}
	b.successes++
	if !b.open || b.successes >= breakerSuccesses {
		b.open, b.failures = false, 0
	}
}

// wait returns when work may be taken.
func (b *breaker) wait(ctx context.Context) error {
	for b.status().State == BreakerOpen {
		if !pause(ctx, min(time.Second, breakerRest)) {
			return ctx.Err()
		}
	}
	return nil
}

// Breaker is where the guard before the engine stands.
func (j *Jobs) Breaker() BreakerStatus { return j.breaker.status() }
