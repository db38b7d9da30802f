package sqlstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/store"
)

const deliveryColumns = `id, job_id, batch_id, owner, url, status, tries, next_at, last_status, last_error, created_at, delivered_at`

func scanDelivery(scan Scan) (d store.Delivery, err error) {
	err = scan(&d.ID, &d.JobID, &d.BatchID, &d.Owner, &d.URL, &d.Status, &d.Tries, instant{&d.NextAt}, &d.LastStatus, &d.LastError,
		instant{&d.CreatedAt}, instant{&d.DeliveredAt})
	return d, err
}

// deliver makes a delivery that is due now.
func (t *txn) deliver(ctx context.Context, d store.Delivery) error {
	now := nanos(t.s.now())
	_, err := t.Exec(ctx, "INSERT INTO deliveries ("+deliveryColumns+") VALUES ("+marks(1, 12)+")",
		newUUID(), d.JobID, d.BatchID, d.Owner, d.URL, "pending", 0, now, 0, "", now, 0)
	return err
}

// newUUID is a random one (version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// SaveDelivery stores the outcome of a try.
func (s *Store) SaveDelivery(ctx context.Context, d store.Delivery) error {
	return s.change(ctx, "delivery", "storing a delivery", `UPDATE deliveries SET status = $2, tries = $3, next_at = $4, last_status = $5,
 last_error = $6, delivered_at = $7 WHERE id = $1`, d.ID, d.Status, d.Tries, nanos(d.NextAt), d.LastStatus, d.LastError, nanos(d.DeliveredAt))
}

// ListDeliveries lists deliveries, newest first.
func (s *Store) ListDeliveries(ctx context.Context, owner *string, id string, limit, offset int) (list []store.Delivery, more bool, err error) {
	if limit < 1 || offset < 0 {
		return nil, false, invalid("limit is %d and offset %d: they must be at least 1 and 0", limit, offset)
	}
	query, args := deliveriesOf(owner, id)
	query += fmt.Sprintf(" ORDER BY created_at DESC, id LIMIT %d OFFSET %d", limit+1, offset)
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, query, args, func(scan Scan) error {
			d, err := scanDelivery(scan)
			list = append(list, d)
			return err
		})
	})
	if err != nil {
		return nil, false, wrap("listing deliveries", err)
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// deliveriesOf selects an owner's, a job's or batch's, or all.
func deliveriesOf(owner *string, id string) (query string, args []any) {
	term := ""
	if owner != nil {
		args = append(args, *owner)
		term = " AND owner = $1"
		if *owner != "" && id == "" {
			term += " AND owner <> ''" // what the index of owners holds
		}
	}
	if id == "" {
		return "SELECT " + deliveryColumns + " FROM deliveries WHERE 1 = 1" + term, args
	}
	// Two queries, since each has an index of its own; none is of both.
	args = append(args, id)
	each := func(column string) string {
		return "SELECT " + deliveryColumns + " FROM deliveries WHERE " + column + " = $" + itoa(len(args)) + " AND " + column + " <> ''" + term
	}
	return each("job_id") + " UNION ALL " + each("batch_id"), args
}

// AddUpload stores what is known of an uploaded file.
func (s *Store) AddUpload(ctx context.Context, u store.Upload) error {
	if u.CreatedAt.IsZero() {
		u.CreatedAt = s.now()
	}
	err := s.write(ctx, "upload", func(ctx context.Context, t *txn) error {
		n, err := t.Exec(ctx, "INSERT INTO uploads (id, owner, size_bytes, sha256, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
			u.ID, u.Owner, u.SizeBytes, u.SHA256, nanos(u.CreatedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return invalid("there is an upload with the id %s already", u.ID)
		}
		return refer(ctx, t, u.SHA256, refUpload, u.ID)
	})
	return wrap("storing an upload", err)
}

// Upload finds an upload.
func (s *Store) Upload(ctx context.Context, id string) (u store.Upload, err error) {
	found := false
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		found, err = one(ctx, q, "SELECT id, owner, size_bytes, sha256, created_at FROM uploads WHERE id = $1", []any{id},
			&u.ID, &u.Owner, &u.SizeBytes, &u.SHA256, instant{&u.CreatedAt})
		return err
	})
	if err == nil && !found {
		return u, store.ErrNotFound
	}
	return u, wrap("reading an upload", err)
}

// DeleteUploadsBefore removes old ones.
func (s *Store) DeleteUploadsBefore(ctx context.Context, before time.Time) (n int, err error) {
	err = s.write(ctx, "upload", func(ctx context.Context, t *txn) error {
		n = 0
		if _, err := t.Exec(ctx, `DELETE FROM blob_refs WHERE kind = 'upload' AND ref IN (SELECT id FROM uploads WHERE created_at < $1)`,
			nanos(before)); err != nil {
			return err
		}
		changed, err := t.Exec(ctx, "DELETE FROM uploads WHERE created_at < $1", nanos(before))
		n = int(changed)
		return err
	})
	return n, wrap("removing uploads", err)
}
