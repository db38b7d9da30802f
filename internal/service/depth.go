package service

import (
	"context"
	"sync"
	"time"
)

// Times of the count of the queue.
const (
	depthLasts = time.Second            // before it is counted again
	depthWaits = 200 * time.Millisecond // at most, for whoever asks
	depthTakes = 5 * time.Second        // at most, for the database
)

// depth is how many jobs wait in the queue. Health is asked often and has to be
// answered where the database hangs, too: then it is what was known last.
type depth struct {
	mu       sync.Mutex
	n        int
	at       time.Time
	counting chan struct{} // nil, or closed when it is counted
}

// get answers what count says, now or within the last second.
func (d *depth) get(count func(context.Context) (int, error)) int {
	if counted := d.refresh(count); counted != nil {
		wait := time.NewTimer(depthWaits)
		defer wait.Stop()
		select {
		case <-counted:
		case <-wait.C:
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// refresh begins to count where that is due; one count at a time. It answers nil
// where nobody counts.
func (d *depth) refresh(count func(context.Context) (int, error)) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counting == nil && time.Since(d.at) >= depthLasts {
		d.counting = make(chan struct{})
		go d.count(count)
	}
	return d.counting
}

func (d *depth) count(count func(context.Context) (int, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), depthTakes)
	defer cancel()
	n, err := count(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.n = n
	}
	d.at = time.Now()
	close(d.counting)
	d.counting = nil
}
