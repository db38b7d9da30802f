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
			if _, err := one(ctx, t, "SELECT id FROM river_job WHERE state = 'pending' ORDER BY priority, id LIMIT 1"+lock, nil, &first); err != nil {
				return err
			}
		}
		waiting, err := t.s.countWaiting(ctx, t)
		if err != nil {
			return err
		}
		most, unbounded := 0, 0
		if _, err := one(ctx, t, `SELECT coalesce(max(queue_max), 0), coalesce(max(CASE WHEN queue_max = 0 THEN 1 ELSE 0 END), 0)
 FROM batches WHERE ended_at = 0`, nil, &most, &unbounded); err != nil {
			return err
		}
		// Half of the queue stays free for what is submitted by itself.
		n := min(feedAtOnce, max(1, most/2)-waiting)
		if most == 0 || unbounded != 0 {
			n = feedAtOnce
		}
		if n <= 0 {
			return nil
		}
		// As scheduled ones, whether their time has come or not.
		changed, err := t.Exec(ctx, `UPDATE river_job SET state = 'scheduled' WHERE id IN
 (SELECT id FROM river_job WHERE state = 'pending' ORDER BY priority, id LIMIT `+itoa(n)+t.Locking()+`)`)
		if err != nil || changed == 0 {
			return err
		}
		if _, err := t.PromoteEntries(ctx, n); err != nil {
			return err
		}
		t.notice.Wake = true
		return nil
	})
}
