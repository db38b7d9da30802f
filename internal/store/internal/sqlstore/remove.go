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
	return tx.Do(ctx, "INSERT INTO blob_refs (digest, kind, ref) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", digest, kind, ref)
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
	err := s.trimAll(ctx, "WHERE r.id = $1 AND r.ended_at > 0", id)
	if err != nil {
		return wrap("removing a job", err)
	}
	err = s.write(ctx, "delete", func(ctx context.Context, t *txn) error {
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

// trimAll removes the logs of those chosen that are too large to go with them.
func (s *Store) trimAll(ctx context.Context, choice string, args ...any) error {
	olds, err := s.olds(ctx, choice, args...)
	for _, o := range olds {
		if err == nil && o.cost > removeCost {
			err = s.trim(ctx, o.seq)
		}
	}
	return err
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
func (s *Store) DeleteBefore(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	if limit < 1 {
		return 0, nil
	}
	olds, err := s.olds(ctx, "WHERE r.ended_at > 0 AND r.ended_at < $1 ORDER BY r.ended_at LIMIT "+itoa(limit), nanos(before))
	for len(olds) > 0 && err == nil {
		n := together(olds)
		if err = s.expire(ctx, olds[:n]); err == nil {
			removed, olds = removed+n, olds[n:]
		}
	}
	if err == nil {
		err = s.write(ctx, "expire", func(ctx context.Context, t *txn) error { return t.expireBatches(ctx, before, limit) })
	}
	return removed, wrap("removing old jobs", err)
}

// What one transaction removes: who else wants to write waits for it. An event
// costs about as much as a kilobyte.
const (
	removeCost   = 4 << 20
	eventCost    = 1 << 10
	removeEvents = removeCost / eventCost / 4
)

// old is a record that is to be removed.
type old struct {
	seq  int64
	id   string
	cost int64
}

// olds finds records and what it costs to remove them.
func (s *Store) olds(ctx context.Context, choice string, args ...any) (olds []old, err error) {
	query := `SELECT r.seq, r.id, r.event_seq, r.event_bytes,
 coalesce(octet_length(q.input), 0) + coalesce(octet_length(o.body), 0) + coalesce(octet_length(o.output), 0)
 FROM records r LEFT JOIN requests q ON q.seq = r.seq LEFT JOIN outcomes o ON o.seq = r.seq ` + choice
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, query, args, func(scan Scan) error {
			var o old
			var events, log int64
			if err := scan(&o.seq, &o.id, &events, &log, &o.cost); err != nil {
				return err
			}
			if o.cost += events*eventCost + log; log < 0 {
				o.cost += removeCost + 1 // it is full, so it is large
			}
			olds = append(olds, o)
			return nil
		})
	})
	return olds, err
}

// together is how many records go in one transaction: at least one.
func together(olds []old) int {
	total := int64(0)
	for n, o := range olds {
		if total += o.cost; total > removeCost {
			return max(n, 1)
		}
	}
	return len(olds)
}

// expire removes records in one transaction, after the log of a large one.
func (s *Store) expire(ctx context.Context, olds []old) error {
	if olds[0].cost > removeCost {
		if err := s.trim(ctx, olds[0].seq); err != nil {
			return err
		}
	}
	return s.write(ctx, "expire", func(ctx context.Context, t *txn) error {
		for _, o := range olds {
			if err := t.remove(ctx, o.seq, o.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// trim removes the log of an ended record, the oldest events first, some in
// each transaction.
func (s *Store) trim(ctx context.Context, seq int64) error {
	for {
		var last, size int64
		err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
			query := "SELECT n, coalesce(octet_length(data), 0) FROM events WHERE seq = $1 ORDER BY n LIMIT " + itoa(removeEvents)
			return q.Each(ctx, query, []any{seq}, func(scan Scan) error {
				var n, bytes int64
				err := scan(&n, &bytes)
				if size += bytes; size <= removeCost || last == 0 {
					last = n
				}
				return err
			})
		})
		if err != nil || last == 0 {
			return err
		}
		err = s.write(ctx, "trim", func(ctx context.Context, t *txn) error {
			_, err := t.Exec(ctx, "DELETE FROM events WHERE seq = $1 AND n <= $2", seq, last)
			return err
		})
		if err != nil {
			return err
		}
	}
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
