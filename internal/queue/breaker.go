package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

// The breaker's numbers are the contract's.
const (
	breakerFailures  = 5 // in a row open it
	breakerRest      = 30 * time.Second
	breakerSuccesses = 2 // in a row close it again
	// breakerTry is how long one that tries the engine keeps the next one of its
	// class waiting: what has run for so long has not failed to start.
	breakerTry = 10 * time.Second
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
// the line are told. After a rest the next ones try it, one of each class at a
// time: should it fail still, little is lost.
type breaker struct {
	now func() time.Time

	mu                  sync.Mutex
	open                bool // or half open, when the rest is over
	failures, successes int
	last                time.Time
	trying              [classes]*try // while it is half open
}

// try is one that tries the engine.
type try struct{ begun time.Time }

// status is where it stands.
func (b *breaker) status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BreakerStatus{State: b.state(), Failures: b.failures, Successes: b.successes, LastFailure: b.last}
}

// state is status's. The caller holds the lock.
func (b *breaker) state() BreakerState {
	switch {
	case b.open && b.now().Sub(b.last) < breakerRest:
		return BreakerOpen
	case b.open:
		return BreakerHalfOpen
	}
	return BreakerClosed
}

// hear counts what the end of an attempt says about the engine; cause is why its
// context ended, nil where it did not.
func (b *breaker) hear(cause error, ended job.Ended) {
	switch {
	case errors.Is(cause, errWatchdog) && ended.Status == job.Cancelled:
		b.report(true) // the attempt's own limits had run out before, and nothing reacted
	case cause != nil: // somebody ended it
	case ended.Again:
		b.report(true)
	case ended.Outcome.Sandbox.Supply != "": // else it was refused before it had one
		b.report(false)
	}
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

// admit lets somebody of a class at the engine, if that may be now. Call done
// when he is through.
func (b *breaker) admit(class Class) (done func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state() {
	case BreakerClosed:
		return func() {}, true
	case BreakerOpen:
		return nil, false
	}
	if before := b.trying[class]; before != nil && b.now().Sub(before.begun) < breakerTry {
		return nil, false
	}
	this := &try{begun: b.now()}
	b.trying[class] = this
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.trying[class] == this {
			b.trying[class] = nil
		}
	}, true
}

// enter waits until somebody of a class is admitted.
func (b *breaker) enter(ctx context.Context, class Class) (done func(), err error) {
	for {
		if done, ok := b.admit(class); ok {
			return done, nil
		}
		if !pause(ctx, time.Second) {
			return nil, ctx.Err()
		}
	}
}

// Breaker is where the guard before the engine stands.
func (j *Jobs) Breaker() BreakerStatus { return j.breaker.status() }
