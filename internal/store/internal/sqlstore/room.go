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
	if max <= 0 || n == 0 {
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

// dueSoon is how long before its time an entry counts as waiting. Retries are
// within it.
const dueSoon = time.Minute

// pressing counts those of the rows that are to wait now. Others have until
// their time, and fill nobody's queue.
func (s *Store) pressing(rows []row, among []int) (n int) {
	for _, i := range among {
		if !s.isLater(&rows[i]) {
			n++
		}
	}
	return n
}

func (s *Store) isLater(r *row) bool { return r.Request.RunAt.After(s.now().Add(dueSoon)) }

// waiting counts the entries in the queue: neither those whose time is to come
// nor those that are held outside.
func (s *Store) waiting(ctx context.Context) (n int, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		n, err = s.countWaiting(ctx, q)
		return err
	})
	return n, err
}

func (s *Store) countWaiting(ctx context.Context, q Querier) (n int, err error) {
	now := s.now()
	_, err = one(ctx, q, `SELECT (SELECT count(*) FROM river_job WHERE state = 'available')
 + (SELECT count(*) FROM records WHERE status = 'queued' AND ready_at > $1 AND ready_at <= $2)`,
		[]any{nanos(now), nanos(now.Add(dueSoon))}, &n)
	return n, err
}
