package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Cancel ends a queued record or marks a running one.
func (s *Store) Cancel(ctx context.Context, id string) (job.Record, error) {
	err := s.write(ctx, "cancel", func(ctx context.Context, t *txn) error { return t.cancel(ctx, id) })
	if err != nil {
		return job.Record{}, wrap("cancelling a job", err)
	}
	return s.Get(ctx, id)
}

func (t *txn) cancel(ctx context.Context, id string) error {
	r, err := t.lockRow(ctx, id)
	switch {
	case err != nil:
		return err
	case r.Status.Terminal():
		return store.ErrEnded
	case r.Status == job.Queued:
		return t.end(ctx, &r, job.Cancelled, cancelledOutcome())
	}
	t.changed(id)
	t.notice.Cancelled = append(t.notice.Cancelled, id)
	_, err = t.Exec(ctx, "UPDATE records SET cancel_requested = 1 WHERE seq = $1", r.seq)
	return err
}

// Renew extends the leases of a node's claims.
func (s *Store) Renew(ctx context.Context, node string, lease time.Time) error {
	ids := s.claims.ofNode(node)
	if len(ids) > 0 {
		s.measure(ctx)
		lease = s.shared(lease)
	}
	for len(ids) > 0 {
		n := min(len(ids), 200)
		if err := s.renew(ctx, node, lease, ids[:n]); err != nil {
			return wrap("renewing claims", err)
		}
		ids = ids[n:]
	}
	return nil
}

func (s *Store) renew(ctx context.Context, node string, lease time.Time, ids []string) error {
	kept := map[string]bool{}
	var ending []string
	err := s.write(ctx, "renew", func(ctx context.Context, t *txn) error {
		clear(kept)
		ending = nil
		args := append([]any{nanos(lease), node, s.life}, list(ids)...)
		query := `UPDATE records SET lease = $1 WHERE seq IN (SELECT seq FROM records WHERE status = 'running' AND node = $2 AND life = $3
 AND id IN (` + marks(4, len(ids)) + `) ORDER BY seq` + t.Locking() + `) RETURNING id, cancel_requested`
		return t.Each(ctx, query, args, func(scan Scan) error {
			var id string
			var cancel bool
			if err := scan(&id, truth{&cancel}); err != nil {
				return err
			}
			kept[id] = true
			if cancel {
				ending = append(ending, id)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !kept[id] {
			ending = append(ending, id)
		}
	}
	for _, id := range ending {
		s.claims.cancel(id)
	}
	return nil
}

// recoverAtOnce is how many records one transaction takes back.
const recoverAtOnce = 50

// Recover takes back the claims of dead nodes.
func (s *Store) Recover(ctx context.Context, node string, now time.Time, limit int) ([]job.Record, error) {
	s.measure(ctx)
	now = s.shared(now)
	var changed []string
	last := int64(0)
	for {
		ids, next, err := s.lapsed(ctx, node, now, last)
		if err != nil {
			return nil, wrap("looking for lost claims", err)
		}
		if len(ids) == 0 {
			break
		}
		last = next
		var done []string
		err = s.write(ctx, "recover", func(ctx context.Context, t *txn) error {
			done = nil
			for _, id := range ids {
				ok, err := t.takeBack(ctx, id, node, now, limit)
				if err != nil {
					return err
				}
				if ok {
					done = append(done, id)
				}
			}
			return nil
		})
		if err != nil {
			return nil, wrap("taking claims back", err)
		}
		changed = append(changed, done...)
	}
	records := make([]job.Record, 0, len(changed))
	for _, id := range changed {
		r, err := s.Get(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// lapsed finds records whose claims do not stand, after one in number.
func (s *Store) lapsed(ctx context.Context, node string, now time.Time, after int64) (ids []string, last int64, err error) {
	query := fmt.Sprintf(`SELECT id, seq FROM records WHERE status = 'running' AND seq > $1
 AND (lease < $2 OR (node = $3 AND life <> $4)) ORDER BY seq LIMIT %d`, recoverAtOnce)
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, query, []any{after, nanos(now), node, s.life}, func(scan Scan) error {
			var id string
			if err := scan(&id, &last); err != nil {
				return err
			}
			ids = append(ids, id)
			return nil
		})
	})
	return ids, last, err
}

// takeBack ends the claim of a record, if it still does not stand.
func (t *txn) takeBack(ctx context.Context, id, node string, now time.Time, limit int) (bool, error) {
	r, err := t.lockRow(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	earlier := r.node == node && r.life != t.s.life
	if r.Status != job.Running || (r.lease >= nanos(now) && !earlier) {
		return false, nil
	}
	return true, t.interrupt(ctx, &r, r.readyAt, max(limit, 0))
}
