package sqlstore

import (
	"context"
	"time"
)

const (
	// feedInterval is how late an entry may be let in whose time has come.
	feedInterval = 250 * time.Millisecond
	feedAtOnce   = 500
)

// feed lets entries into the queue: those whose time has come, and those that
// were held because it was full.
func (s *Store) feed(ctx context.Context) {
	tick := time.NewTicker(feedInterval)
	defer tick.Stop()
	for {
		err := s.promote(ctx)
		if err == nil {
			err = s.letIn(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("feeding the queue failed and is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// promote lets scheduled entries in.
func (s *Store) promote(ctx context.Context) error {
	for {
		some, err := s.has(ctx, "SELECT 1 FROM river_job WHERE state = 'scheduled' LIMIT 1")
		if err != nil || !some {
			return err
		}
		var n int
		err = s.write(ctx, "promote", func(ctx context.Context, t *txn) (err error) {
			n, err = t.PromoteEntries(ctx, feedAtOnce)
			t.notice.Wake = n > 0
			return err
		})
		if err != nil || n < feedAtOnce {
			return err
		}
	}
}

// letIn lets held entries in, as many as there is room for.
func (s *Store) letIn(ctx context.Context) error {
	s.held.Store(false) // before the look: who adds some sets it afterwards
	some, err := s.has(ctx, "SELECT 1 FROM river_job WHERE state = 'pending' LIMIT 1")
	if err != nil || !some {
		return err
	}
	s.held.Store(true)
	return s.write(ctx, "feed", func(ctx context.Context, t *txn) error {
		// One server at a time: of two that counted the same room, each would
		// fill it.
		if lock := t.Locking(); lock != "" {
			var first int64
			query := "SELECT id FROM river_job WHERE state = 'pending' ORDER BY queue, priority, scheduled_at, id LIMIT 1" + lock
			if _, err := one(ctx, t, query, nil, &first); err != nil {
				return err
			}
		}
		n, err := t.roomForHeld(ctx)
		if err != nil {
			return err
		}
		queues, err := t.heldQueues(ctx)
		if err != nil {
			return err
		}
		changed := 0
		for _, h := range shareRoom(queues, n) {
			if err := t.unhold(ctx, h); err != nil {
				return err
			}
			changed += h.n
		}
		if changed == 0 {
			return nil
		}
		if _, err := t.PromoteEntries(ctx, changed); err != nil {
			return err
		}
		t.notice.Wake = true
		return nil
	})
}

// roomForHeld is how many entries may be let in: half of the queue stays free
// for what is submitted by itself.
func (t *txn) roomForHeld(ctx context.Context) (int, error) {
	most, unbounded := 0, 0
	if _, err := one(ctx, t, `SELECT coalesce(max(queue_max), 0), coalesce(max(CASE WHEN queue_max = 0 THEN 1 ELSE 0 END), 0)
 FROM batches WHERE ended_at = 0`, nil, &most, &unbounded); err != nil {
		return 0, err
	}
	if most == 0 || unbounded != 0 {
		return feedAtOnce, nil
	}
	waiting, err := t.s.countWaiting(ctx, t)
	return min(feedAtOnce, half(most)-waiting), err
}

// heldQueue is an owner's queue when room is shared out.
type heldQueue struct {
	name    string
	held    int // outside, counted up to feedAtOnce
	waiting int // inside
	n       int // to be let in now
}

// heldQueues are those that have something outside.
func (t *txn) heldQueues(ctx context.Context) (queues []*heldQueue, err error) {
	err = t.Each(ctx, queuesOf("pending"), nil, func(scan Scan) error {
		h := &heldQueue{}
		queues = append(queues, h)
		return scan(&h.name)
	})
	if err != nil {
		return nil, err
	}
	query := `SELECT (SELECT count(*) FROM (SELECT 1 FROM river_job WHERE state = 'pending' AND queue = $1 LIMIT ` + itoa(feedAtOnce) + `) AS held),
 (SELECT count(*) FROM river_job WHERE state = 'available' AND queue = $1)`
	for _, h := range queues {
		if _, err := one(ctx, t, query, []any{h.name}, &h.held, &h.waiting); err != nil {
			return nil, err
		}
	}
	return queues, nil
}

// shareRoom gives room for n entries to the queues that have least inside, one
// after the other: whoever submits large batches does not keep others out. A
// queue with nothing inside gets one in any case.
func shareRoom(queues []*heldQueue, n int) []*heldQueue {
	for _, h := range queues {
		if h.waiting == 0 && h.held > 0 {
			h.n, n = 1, n-1
		}
	}
	for ; n > 0; n-- {
		var next *heldQueue
		for _, h := range queues {
			if h.n < h.held && (next == nil || h.waiting+h.n < next.waiting+next.n) {
				next = h
			}
		}
		if next == nil {
			break
		}
		next.n++
	}
	return queues
}

// unhold lets entries in, as scheduled ones, whether their time has come or not.
func (t *txn) unhold(ctx context.Context, h *heldQueue) error {
	if h.n == 0 {
		return nil
	}
	_, err := t.Exec(ctx, `UPDATE river_job SET state = 'scheduled' WHERE id IN (SELECT id FROM river_job WHERE state = 'pending' AND queue = $1
 ORDER BY priority, scheduled_at, id LIMIT `+itoa(h.n)+t.Locking()+`)`, h.name)
	return err
}
