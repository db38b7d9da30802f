package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

const (
	batchRunning   = "running"
	batchFinished  = "finished"
	batchCancelled = "cancelled"
	// cancelAtOnce is how many records of a batch one transaction cancels.
	cancelAtOnce = 50
)

// SubmitBatch stores a batch and its records.
func (s *Store) SubmitBatch(ctx context.Context, b store.Batch, records []job.Record, max int) (store.Batch, error) {
	if b.ID == "" || len(records) == 0 {
		return store.Batch{}, invalid("a batch needs an id and jobs")
	}
	rows, err := s.queuedRows(records)
	if err != nil {
		return store.Batch{}, err
	}
	for i := range rows {
		if rows[i].IdempotencyKey != "" {
			return store.Batch{}, invalid("job %d has an idempotency key: in a batch, the batch has it", i)
		}
		rows[i].BatchID, rows[i].BatchIndex = b.ID, i
	}
	b.Total, b.Status, b.CreatedAt = len(rows), batchRunning, s.instant()
	id := b.ID
	for {
		err = s.write(ctx, "batch", func(ctx context.Context, t *txn) (err error) {
			id, err = t.submitBatch(ctx, b, rows, max)
			return err
		})
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil {
			return store.Batch{}, wrap("storing a batch", err)
		}
		s.held.Store(true)
		return s.Batch(ctx, id)
	}
}

// submitBatch returns the id of the batch that is stored then: an older one,
// if its idempotency key is b's.
func (t *txn) submitBatch(ctx context.Context, b store.Batch, rows []row, max int) (string, error) {
	known, found, err := knownBatch(ctx, t, b)
	if err != nil || found {
		return known, err
	}
	labels, err := marshal(b.Labels)
	if err != nil {
		return "", fmt.Errorf("encoding labels: %w", err)
	}
	changed, err := t.Exec(ctx, `INSERT INTO batches (id, owner, total, status, labels, webhook_url, idempotency_key, fingerprint,
 created_at, ended_at, queue_max) VALUES (`+marks(1, 11)+`) ON CONFLICT DO NOTHING`,
		b.ID, b.Owner, b.Total, b.Status, labels, b.WebhookURL, b.IdempotencyKey, b.Fingerprint, nanos(b.CreatedAt), 0, max)
	if err != nil {
		return "", err
	}
	if changed == 0 {
		if _, found, err := knownBatch(ctx, t, b); err != nil || found {
			return "", errors.Join(errAgain, err)
		}
		return "", invalid("there is a batch with the id %s already", b.ID)
	}
	if err := t.point("batch"); err != nil {
		return "", err
	}
	free := len(rows)
	if max > 0 {
		waiting, err := t.s.countWaiting(ctx, t)
		if err != nil {
			return "", err
		}
		free = half(max) - waiting // the other half is for what is submitted by itself
	}
	_, err = t.submit(ctx, rows, admission{held: func(i int) bool { return i >= free }})
	return b.ID, err
}

// knownBatch finds the batch that an idempotency key made.
func knownBatch(ctx context.Context, q Querier, b store.Batch) (id string, found bool, err error) {
	if b.IdempotencyKey == "" {
		return "", false, nil
	}
	var fingerprint string
	found, err = one(ctx, q, "SELECT id, fingerprint FROM batches WHERE owner = $1 AND idempotency_key = $2 AND idempotency_key <> ''",
		[]any{b.Owner, b.IdempotencyKey}, &id, &fingerprint)
	if err != nil || !found {
		return "", false, err
	}
	if fingerprint != b.Fingerprint {
		return "", false, store.ErrConflict
	}
	return id, true, nil
}

// Batch reads a batch and counts its records.
func (s *Store) Batch(ctx context.Context, id string) (b store.Batch, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		var labels []byte
		found, err := one(ctx, q, `SELECT id, owner, total, status, labels, webhook_url, idempotency_key, fingerprint, created_at, ended_at
 FROM batches WHERE id = $1`, []any{id}, &b.ID, &b.Owner, &b.Total, &b.Status, &labels, &b.WebhookURL, &b.IdempotencyKey, &b.Fingerprint,
			instant{&b.CreatedAt}, instant{&b.EndedAt})
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		if err := json.Unmarshal(labels, &b.Labels); err != nil {
			return fmt.Errorf("reading the labels of %s: %w", id, err)
		}
		b.Counts = map[job.Status]int{}
		return q.Each(ctx, "SELECT status, count(*) FROM records WHERE batch_id = $1 AND batch_id <> '' GROUP BY status", []any{id},
			func(scan Scan) error {
				var status job.Status
				var n int
				err := scan(&status, &n)
				b.Counts[status] = n
				return err
			})
	})
	if err != nil {
		return store.Batch{}, wrap("reading a batch", err)
	}
	return b, nil
}

// CancelBatch ends what waits of a batch and marks what runs, some records at a
// time: what is submitted meanwhile does not wait for all of it.
func (s *Store) CancelBatch(ctx context.Context, id string) (store.Batch, error) {
	b, err := s.Batch(ctx, id)
	if err != nil {
		return store.Batch{}, err
	}
	if b.Status == batchFinished || !b.EndedAt.IsZero() {
		return store.Batch{}, store.ErrEnded
	}
	err = s.write(ctx, "cancelbatch", func(ctx context.Context, t *txn) error {
		_, err := t.Exec(ctx, "UPDATE batches SET status = 'cancelled' WHERE id = $1 AND ended_at = 0", id)
		return err
	})
	if err != nil {
		return store.Batch{}, wrap("cancelling a batch", err)
	}
	for {
		ids, err := s.toCancel(ctx, id)
		if err != nil {
			return store.Batch{}, wrap("cancelling a batch", err)
		}
		if len(ids) == 0 {
			return s.Batch(ctx, id)
		}
		err = s.write(ctx, "cancelbatch", func(ctx context.Context, t *txn) error {
			for _, id := range ids {
				err := t.cancel(ctx, id)
				if err != nil && !errors.Is(err, store.ErrEnded) && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return store.Batch{}, wrap("cancelling a batch", err)
		}
	}
}

// toCancel finds records of a batch that nobody asked to end yet.
func (s *Store) toCancel(ctx context.Context, batch string) (ids []string, err error) {
	query := `SELECT id FROM records WHERE batch_id = $1 AND batch_id <> '' AND status IN ('queued', 'running') AND cancel_requested = 0
 ORDER BY seq LIMIT ` + itoa(cancelAtOnce)
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, query, []any{batch}, func(scan Scan) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	})
	return ids, err
}

// endBatches ends the batches that had their last record end in this
// transaction.
func (t *txn) endBatches(ctx context.Context) error {
	ids := make([]string, 0, len(t.batches))
	for id := range t.batches {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if err := t.endBatch(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) endBatch(ctx context.Context, id string) error {
	var b store.Batch
	// Locked before the look at its records: of two transactions that end the
	// last two, the second sees what the first did.
	found, err := one(ctx, t, "SELECT status, owner, webhook_url FROM batches WHERE id = $1 AND ended_at = 0"+t.Locking(),
		[]any{id}, &b.Status, &b.Owner, &b.WebhookURL)
	if err != nil || !found {
		return err
	}
	var n int
	live, err := one(ctx, t, "SELECT 1 FROM records WHERE batch_id = $1 AND batch_id <> '' AND status IN ('queued', 'running') LIMIT 1",
		[]any{id}, &n)
	if err != nil || live {
		return err
	}
	if b.Status == batchRunning {
		b.Status = batchFinished
	}
	if _, err := t.Exec(ctx, "UPDATE batches SET status = $1, ended_at = $2 WHERE id = $3", b.Status, nanos(t.s.now()), id); err != nil {
		return err
	}
	if b.WebhookURL == "" {
		return nil
	}
	return t.deliver(ctx, store.Delivery{BatchID: id, Owner: b.Owner, URL: b.WebhookURL})
}
