package lifecycle

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often who waits for a lock looks again.
const lockPoll = 5 * time.Millisecond

// Flock locks f as how says, syscall.LOCK_EX or LOCK_SH, and waits until ctx
// ends for those who have it locked otherwise; then it answers ctx's cause.
// flock(2) knows no context, so it asks again and again. The lock ends with f.
func Flock(ctx context.Context, f *os.File, how int) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
