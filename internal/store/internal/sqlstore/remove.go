package sqlstore

import (
	"context"
	"regexp"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// What refers to a blob.
const (
	refRecord = "record"
	refLetter = "letter"
	refUpload = "upload"
)

// refer notes that something refers to a blob.
func refer(ctx context.Context, tx Tx, digest, kind, ref string) error {
	if digest == "" {
		return nil
	}
	_, err := tx.Exec(ctx, "INSERT INTO blob_refs (digest, kind, ref) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", digest, kind, ref)
	return err
}

func unrefer(ctx context.Context, tx Tx, kind, ref string) error {
	_, err := tx.Exec(ctx, "DELETE FROM blob_refs WHERE kind = $1 AND ref = $2", kind, ref)
	return err
}

// Blobs reports which digests are referred to.
func (s *Store) Blobs(ctx context.Context, digests []string) (map[string]bool, error) {
	used := map[string]bool{}
	err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		for len(digests) > 0 {
			n := min(len(digests), 200)
			query := "SELECT DISTINCT digest FROM blob_refs WHERE digest IN (" + marks(1, n) + ")"
			err := q.Each(ctx, query, list(digests[:n]), func(scan Scan) error {
				var d string
				err := scan(&d)
				used[d] = true
				return err
			})
			if err != nil {
				return err
			}
			digests = digests[n:]
		}
		return nil
	})
	return used, wrap("looking for what refers to blobs", err)
}

// digestPattern finds what may be digests in the JSON of a dead letter.
func digestPattern() *regexp.Regexp { return regexp.MustCompile(`[0-9a-f]{64}`) }

// Delete removes a record that has ended.
func (s *Store) Delete(ctx context.Context, id string) error {
	err := s.write(ctx, "delete", func(ctx context.Context, t *txn) error {
		r, err := t.lockRow(ctx, id)
		if err != nil {
			return err
		}
		if !r.Status.Terminal() {
			return job.Errorf(job.KindInvalid, "job %s has not ended", id).WithHint("cancel it first")
		}
		return t.remove(ctx, r.seq, id)
	})
	return wrap("removing a job", err)
}

// remove removes an ended record and all that is about it.
func (t *txn) remove(ctx context.Context, seq int64, id string) error {
	for _, table := range []string{"events", "record_labels", "outcomes", "requests", "records"} {
		if _, err := t.Exec(ctx, "DELETE FROM "+table+" WHERE seq = $1", seq); err != nil {
			return err
		}
	}
	if _, err := t.Exec(ctx, "DELETE FROM deliveries WHERE job_id = $1 AND job_id <> ''", id); err != nil {
		return err
	}
	return unrefer(ctx, t, refRecord, id)
}

// DeleteBefore removes old records, and batches that have none left.
func (s *Store) DeleteBefore(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, nil
	}
	removed := 0
	err := s.write(ctx, "expire", func(ctx context.Context, t *txn) error {
		removed = 0
		type old struct {
			seq int64
			id  string
		}
		var olds []old
		query := "SELECT seq, id FROM records WHERE ended_at > 0 AND ended_at < $1 ORDER BY ended_at LIMIT " + itoa(limit)
		err := t.Each(ctx, query, []any{nanos(before)}, func(scan Scan) error {
			var o old
			err := scan(&o.seq, &o.id)
			olds = append(olds, o)
			return err
		})
		if err != nil {
			return err
		}
		for _, o := range olds {
			if err := t.remove(ctx, o.seq, o.id); err != nil {
				return err
			}
			removed++
		}
		return t.expireBatches(ctx, before, limit)
	})
	if err != nil {
		return 0, wrap("removing old jobs", err)
	}
	return removed, nil
}

func (t *txn) expireBatches(ctx context.Context, before time.Time, limit int) error {
	query := `SELECT id FROM batches WHERE ended_at > 0 AND ended_at < $1
 AND NOT EXISTS (SELECT 1 FROM records WHERE records.batch_id = batches.id AND records.batch_id <> '') LIMIT ` + itoa(limit)
	var ids []string
	err := t.Each(ctx, query, []any{nanos(before)}, func(scan Scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := t.Exec(ctx, "DELETE FROM batches WHERE id = $1", id); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, "DELETE FROM deliveries WHERE batch_id = $1 AND batch_id <> ''", id); err != nil {
			return err
		}
	}
	return nil
}

// Position counts the entries of the same owner before a record's.
func (s *Store) Position(ctx context.Context, id string) (n int, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		var status job.Status
		var state string
		var entry int64
		found, err := one(ctx, q, "SELECT status, entry FROM records WHERE id = $1", []any{id}, &status, &entry)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		if status != job.Queued {
			return nil
		}
		waits, err := one(ctx, q, "SELECT state FROM river_job WHERE id = $1", []any{entry}, &state)
		if err != nil || !waits { // it was taken since
			return err
		}
		if state == "available" {
			_, err = one(ctx, q, `SELECT 1 + count(*) FROM river_job e, river_job mine WHERE mine.id = $1 AND e.state = 'available'
 AND e.queue = mine.queue AND (e.priority, e.scheduled_at, e.id) < (mine.priority, mine.scheduled_at, mine.id)`, []any{entry}, &n)
			return err
		}
		_, err = one(ctx, q, `SELECT 1 + (SELECT count(*) FROM river_job a, river_job my WHERE my.id = $1 AND a.state = 'available' AND a.queue = my.queue)
 + count(*) FROM river_job e, river_job mine WHERE mine.id = $1 AND e.state = $2 AND e.queue = mine.queue AND (e.scheduled_at, e.id) < (mine.scheduled_at, mine.id)`,
			[]any{entry, state}, &n)
		return err
	})
	return n, wrap("looking for a job's place", err)
}
