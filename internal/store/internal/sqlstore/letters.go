package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

const letterColumns = "job_id, job_data, error_type, error_message, retry_count, created_at, client_ip, correlation_id, owner"

func scanLetter(scan Scan) (d store.DeadLetter, err error) {
	err = scan(&d.ID, &d.JobID, &d.JobData, &d.ErrorType, &d.ErrorMessage, &d.RetryCount, instant{&d.CreatedAt},
		&d.ClientIP, &d.CorrelationID, &d.Owner)
	return d, err
}

// AddDeadLetter stores a dead letter; its ID is given by the store.
func (s *Store) AddDeadLetter(ctx context.Context, d store.DeadLetter) error {
	if d.CreatedAt.IsZero() {
		d.CreatedAt = s.now()
	}
	err := s.write(ctx, "letter", func(ctx context.Context, t *txn) error { return t.insertLetter(ctx, d) })
	return wrap("storing a dead letter", err)
}

func (t *txn) insertLetter(ctx context.Context, d store.DeadLetter) error {
	var id int64
	if _, err := one(ctx, t, "INSERT INTO dead_letters ("+letterColumns+") VALUES ("+marks(1, 9)+") RETURNING id",
		[]any{d.JobID, blob(d.JobData), d.ErrorType, d.ErrorMessage, d.RetryCount, nanos(d.CreatedAt), d.ClientIP, d.CorrelationID, d.Owner},
		&id); err != nil {
		return err
	}
	for _, digest := range digestPattern().FindAllString(string(d.JobData), -1) {
		if err := refer(ctx, t, digest, refLetter, strconv.FormatInt(id, 10)); err != nil {
			return err
		}
	}
	return nil
}

// letter keeps a dead letter of a locked record.
func (t *txn) letter(ctx context.Context, r *row, failure job.Failure) error {
	var body, input []byte
	if _, err := one(ctx, t, "SELECT body, input FROM requests WHERE seq = $1", []any{r.seq}, &body, &input); err != nil {
		return err
	}
	full := row{Record: r.Record}
	if err := full.decodeRequest(body, input); err != nil {
		return err
	}
	if err := t.insertLetter(ctx, store.NewDeadLetter(&full.Record, failure, t.s.instant())); err != nil {
		return err
	}
	return t.point("letter")
}

// DeadLetters lists dead letters, newest first.
func (s *Store) DeadLetters(ctx context.Context, errorType string, limit, offset int) (list []store.DeadLetter, more bool, err error) {
	if limit < 1 || offset < 0 {
		return nil, false, invalid("limit is %d and offset %d: they must be at least 1 and 0", limit, offset)
	}
	query, args := "SELECT id, "+letterColumns+" FROM dead_letters", []any(nil)
	if errorType != "" {
		query, args = query+" WHERE error_type = $1", []any{errorType}
	}
	query += fmt.Sprintf(" ORDER BY id DESC LIMIT %d OFFSET %d", limit+1, offset)
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, query, args, func(scan Scan) error {
			d, err := scanLetter(scan)
			list = append(list, d)
			return err
		})
	})
	if err != nil {
		return nil, false, wrap("listing dead letters", err)
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// DeadLetter reads one.
func (s *Store) DeadLetter(ctx context.Context, id int64) (d store.DeadLetter, err error) {
	found := false
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, "SELECT id, "+letterColumns+" FROM dead_letters WHERE id = $1", []any{id}, func(scan Scan) (err error) {
			found = true
			d, err = scanLetter(scan)
			return err
		})
	})
	if err == nil && !found {
		return d, store.ErrNotFound
	}
	return d, wrap("reading a dead letter", err)
}

// DeadLetterStats counts dead letters by error type.
func (s *Store) DeadLetterStats(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, "SELECT error_type, count(*) FROM dead_letters GROUP BY error_type", nil, func(scan Scan) error {
			var errorType string
			var n int
			err := scan(&errorType, &n)
			counts[errorType] = n
			return err
		})
	})
	return counts, wrap("counting dead letters", err)
}

// DeleteDeadLetter removes one.
func (s *Store) DeleteDeadLetter(ctx context.Context, id int64) error {
	n, err := s.deleteLetters(ctx, "id = $1", id)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// DeleteDeadLettersBefore removes old ones.
func (s *Store) DeleteDeadLettersBefore(ctx context.Context, t time.Time) (int, error) {
	return s.deleteLetters(ctx, "created_at < $1", nanos(t))
}

func (s *Store) deleteLetters(ctx context.Context, condition string, arg any) (n int, err error) {
	err = s.write(ctx, "letter", func(ctx context.Context, t *txn) error {
		n = 0
		var ids []string
		if err := t.Each(ctx, "DELETE FROM dead_letters WHERE "+condition+" RETURNING id", []any{arg}, func(scan Scan) error {
			var id int64
			err := scan(&id)
			ids = append(ids, strconv.FormatInt(id, 10))
			return err
		}); err != nil {
			return err
		}
		for _, id := range ids {
			if err := unrefer(ctx, t, refLetter, id); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	return n, wrap("removing dead letters", err)
}
