package queue

import (
	"testing"
	"time"
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
