package queue

import (
	"context"
	"errors"
	"testing"
)

// Who fills all places does not shut out the others: each key that comes then
// has a share of them, a smaller one the more there are.
func TestPlacesAreShared(t *testing.T) {
	queueAt(t, Budget{Slots: 1, Waiting: 6}, func(ctx context.Context, l *line) {
		l.ask(ctx, "runs", Want{Key: "a"})
		fill(ctx, l, "a", 6)
		fill(ctx, l, "b", 3)
		fill(ctx, l, "c", 2)
		for _, key := range []string{"a", "b", "c"} {
			fill(ctx, l, key, 0)
		}
		l.expect("runs")
	})
}

// fill has a key take so many places, and no more.
func fill(ctx context.Context, l *line, key string, places int) {
	l.t.Helper()
	before := l.slots.Usage().Waiting
	for range places {
		l.ask(ctx, key, Want{Key: key})
	}
	if n := l.slots.Usage().Waiting - before; n != places {
		l.t.Fatalf("%s got %d places of %d", key, n, places)
	}
	if _, err := l.slots.Acquire(ctx, Want{Key: key}); !errors.Is(err, ErrBusy) {
		l.t.Fatalf("one more for %s: %v", key, err)
	}
}
