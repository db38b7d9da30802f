package takotest

import (
	"context"
	"testing"
	"time"
)

// Settled looks again and again until look is content, and fails the test with
// what look says when it is not within that time.
func Settled(tb testing.TB, within time.Duration, look func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := look()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Errorf("after %v: %v", within, err)
			return
		}
	}
}
