package queue

import (
	"errors"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

func TestBreaker(t *testing.T) {
	now := time.Unix(1000, 0)
	b := breaker{now: func() time.Time { return now }}
	expect := func(want BreakerState) {
		t.Helper()
		if got := b.status().State; got != want {
			t.Fatalf("the breaker is %s, want %s", got, want)
		}
	}
	for range breakerFailures - 1 {
		b.report(true)
	}
	b.report(false) // not in a row
	for range breakerFailures - 1 {
		b.report(true)
		expect(BreakerClosed)
	}
	b.report(true)
	expect(BreakerOpen)
	now = now.Add(breakerRest)
	expect(BreakerHalfOpen)
	b.report(true)
	expect(BreakerOpen)
	now = now.Add(breakerRest)
	b.report(false)
	expect(BreakerHalfOpen)
	b.report(false)
	expect(BreakerClosed)
	if s := b.status(); s.Failures != 0 || !s.LastFailure.Equal(time.Unix(1030, 0)) {
		t.Errorf("status = %+v", s)
	}
}

// While it is half open one of each class tries the engine, and the next one
// when that has ended or has run for a while.
func TestBreakerAdmits(t *testing.T) {
	now := time.Unix(1000, 0)
	b := breaker{now: func() time.Time { return now }}
	admit := func(class Class, want bool) (done func()) {
		t.Helper()
		done, ok := b.admit(class)
		if ok != want {
			t.Fatalf("admitted is %v, want %v", ok, want)
		}
		return done
	}
	admit(Async, true)
	admit(Async, true)
	for range breakerFailures {
		b.report(true)
	}
	admit(Async, false)
	now = now.Add(breakerRest)
	first := admit(Async, true)
	admit(Async, false)
	admit(Sync, true)
	admit(Sync, false)
	first()
	second := admit(Async, true)
	first() // has nothing to say any more
	admit(Async, false)
	now = now.Add(breakerTry)
	admit(Async, true)
	second()
	admit(Async, false)
	b.report(false)
	b.report(false)
	admit(Async, true)
	admit(Async, true)
}

func TestBreakerHears(t *testing.T) {
	ran := job.Ended{Status: job.Succeeded, Outcome: job.Outcome{Sandbox: job.SandboxRef{Supply: job.SupplyCold}}}
	killed := ran
	killed.Status = job.Cancelled
	for name, tt := range map[string]struct {
		cause               error
		ended               job.Ended
		failures, successes int
	}{
		"it had a sandbox":                {nil, ran, 0, 4},
		"it was refused":                  {nil, job.Ended{Status: job.Failed}, 2, 3},
		"it failed for us":                {nil, job.Ended{Status: job.Failed, Again: true}, 3, 0},
		"the watchdog ended it":           {errWatchdog, killed, 3, 0},
		"it ended as the watchdog barked": {errWatchdog, ran, 2, 3},
		"somebody ended it":               {errCancelled, killed, 2, 3},
		"it failed as somebody ended it":  {errors.New("stop"), job.Ended{Status: job.Failed, Again: true}, 2, 3},
	} {
		b := breaker{now: time.Now, failures: 2, successes: 3}
		b.hear(tt.cause, tt.ended)
		if s := b.status(); s.Failures != tt.failures || s.Successes != tt.successes {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
