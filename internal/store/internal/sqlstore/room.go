package sqlstore

import (
	"context"
	"sync"
	"time"
)

// roomLasts is how long a count of the queue is worked off before the next:
// other servers submit, too.
const roomLasts = 100 * time.Millisecond

// room knows how much fits into the queue without counting it for every
// submission. What was counted free is handed out until it is used up or old;
// that the queue drains meanwhile errs on the safe side.
type room struct {
	mu       sync.Mutex
	max      int
	free     int
	counted  time.Time
	inflight int // handed out, not committed: the count does not see them
}

// take reserves n places, and reports whether there were as many. Each take
// that succeeds is followed by one done.
func (r *room) take(ctx context.Context, s *Store, n, max int) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if max <= 0 {
		r.inflight += n
		return true, nil
	}
	if r.max != max || r.free < n || time.Since(r.counted) > roomLasts {
		waiting, err := s.waiting(ctx)
		if err != nil {
			return false, err
		}
		r.max, r.free, r.counted = max, max-waiting-r.inflight, time.Now()
	}
	if r.free < n {
		return false, nil
	}
	r.free -= n
	r.inflight += n
	return true, nil
}

// forget has the queue counted anew: something came into it that this knows
// nothing of.
func (r *room) forget() {
	r.mu.Lock()
	r.counted = time.Time{}
	r.mu.Unlock()
}

// done ends a reservation: what it was for is committed or will not be.
func (r *room) done(n int) {
	r.mu.Lock()
	r.inflight -= n
	r.mu.Unlock()
}

// waiting counts the entries in the queue, those that wait for their time
// included, those that are held outside not.
func (s *Store) waiting(ctx context.Context) (n int, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		n, err = countWaiting(ctx, q)
		return err
	})
	return n, err
}

func countWaiting(ctx context.Context, q Querier) (n int, err error) {
	_, err = one(ctx, q, "SELECT count(*) FROM river_job WHERE state IN ('available', 'scheduled')", nil, &n)
	return n, err
}
