package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/takovm/tako/internal/store"
)

// owing lists the owners that have a delivery which is due, who waits longest
// first. Each is two looks into an index (owner, next_at), however many
// deliveries are due.
const owing = `WITH RECURSIVE owners(name) AS (
 SELECT min(owner) FROM deliveries WHERE status = 'pending'
 UNION ALL
 SELECT (SELECT min(owner) FROM deliveries WHERE status = 'pending' AND owner > owners.name) FROM owners WHERE owners.name IS NOT NULL
) SELECT name FROM (
 SELECT name, (SELECT min(next_at) FROM deliveries WHERE status = 'pending' AND owner = owners.name) AS due FROM owners WHERE name IS NOT NULL
) o WHERE due <= $1 ORDER BY due`

// ClaimDelivery hides a delivery that is due and returns it.
func (s *Store) ClaimDelivery(ctx context.Context, now time.Time, lease time.Duration, except ...string) (store.Delivery, error) {
	owners, err := s.owing(ctx, now, except)
	if err != nil {
		return store.Delivery{}, wrap("looking for a delivery", err)
	}
	if len(owners) == 0 {
		return store.Delivery{}, store.ErrNotFound
	}
	var d store.Delivery
	found := false
	err = s.write(ctx, "delivery", func(ctx context.Context, t *txn) (err error) {
		for _, owner := range owners {
			if d, found, err = t.claimDelivery(ctx, owner, now, lease); err != nil || found {
				return err
			}
		}
		return nil // another server was faster
	})
	if err == nil && !found {
		return store.Delivery{}, store.ErrNotFound
	}
	return d, wrap("taking a delivery", err)
}

// owing are the owners of what is due.
func (s *Store) owing(ctx context.Context, now time.Time, except []string) (owners []string, err error) {
	// Mostly nothing is due, and that takes one look to see.
	due, err := s.has(ctx, "SELECT 1 FROM deliveries WHERE status = 'pending' AND next_at <= $1 LIMIT 1", nanos(now))
	if err != nil || !due {
		return nil, err
	}
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		owners = nil
		return q.Each(ctx, owing, []any{nanos(now)}, func(scan Scan) error {
			var owner string
			err := scan(&owner)
			if !slices.Contains(except, owner) {
				owners = append(owners, owner)
			}
			return err
		})
	})
	return owners, err
}

// claimDelivery takes an owner's oldest one that nobody else takes now.
func (t *txn) claimDelivery(ctx context.Context, owner string, now time.Time, lease time.Duration) (d store.Delivery, found bool, err error) {
	skip := t.Locking()
	if skip != "" {
		skip += " SKIP LOCKED"
	}
	query := `UPDATE deliveries SET next_at = $1 WHERE id = (SELECT id FROM deliveries WHERE status = 'pending' AND owner = $3 AND next_at <= $2
 ORDER BY next_at LIMIT 1` + skip + `) RETURNING ` + deliveryColumns
	err = t.Each(ctx, query, []any{nanos(now.Add(lease)), nanos(now), owner}, func(scan Scan) (err error) {
		found = true
		d, err = scanDelivery(scan)
		return err
	})
	return d, found, err
}
