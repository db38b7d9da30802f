package tako

import (
	"context"
	"fmt"
	"time"
)

// defaultPatience is how long a server may be away while something waits for it.
const defaultPatience = 2 * time.Minute

// patience is how long something that goes on is tried again without success.
type patience struct {
	most  time.Duration // less than 0 is without end
	until time.Time
	n     int
}

func newPatience(most time.Duration) *patience {
	if most == 0 {
		most = defaultPatience
	}
	p := &patience{most: most}
	p.renew()
	return p
}

// renew is called after a success.
func (p *patience) renew() { p.until, p.n = time.Now().Add(p.most), 0 }

// pause waits before the next try. It reports false when there is none.
func (p *patience) pause(ctx context.Context, err error) bool {
	wait := pauseAfter(err, p.n)
	p.n++
	if p.most >= 0 && time.Now().Add(wait).After(p.until) {
		return false
	}
	return sleep(ctx, wait)
}

// ended is the error of what was given up: the context's where that ended it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("waiting to try again: %w", ctx.Err())
	}
	return err
}
