package webhook

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWaitAfter(t *testing.T) {
	for _, tc := range []struct {
		tries  int
		random float64
		want   time.Duration
	}{
		{0, 0, 10 * time.Second}, {1, 0, 10 * time.Second}, {2, 0, 20 * time.Second}, {5, 0, 160 * time.Second},
		{9, 0, 2560 * time.Second}, {10, 0, time.Hour}, {100, 0, time.Hour}, {1, 1, 5 * time.Second}, {100, 0.5, 45 * time.Minute},
	} {
		if got := waitAfter(tc.tries, tc.random); got != tc.want {
			t.Errorf("after %d tries at %v: %v, want %v", tc.tries, tc.random, got, tc.want)
		}
	}
}

func TestAgenda(t *testing.T) {
	a, now := newAgenda(), time.Unix(0, 0)
	for _, s := range []int{30, 10, 20} {
		a.add(now.Add(time.Duration(s) * time.Second))
	}
	for _, tc := range []struct{ at, want int }{{0, 10}, {10, 10}, {15, 5}, {25, 5}, {30, 60}} {
		if got := a.next(now.Add(time.Duration(tc.at)*time.Second), time.Minute); got != time.Duration(tc.want)*time.Second {
			t.Errorf("at %d s the next is in %v, want %d s", tc.at, got, tc.want)
		}
	}
	for i := range 2 * agendaSize {
		a.add(now.Add(time.Duration(i) * time.Hour))
	}
	if len(a.due) != agendaSize || a.next(now.Add(-time.Hour), time.Minute) != time.Minute {
		t.Errorf("%d entries", len(a.due))
	}
}
