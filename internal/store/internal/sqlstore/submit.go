package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/entry"
)

// errAgain undoes a transaction that lost a race for an idempotency key; the
// next one finds the winner.
var errAgain = errors.New("an idempotency key was taken meanwhile")

// Submit stores records as queued.
func (s *Store) Submit(ctx context.Context, records []job.Record, max int) ([]job.Record, error) {
	rows, err := s.queuedRows(records)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	n, known, err := s.reserve(ctx, rows, max)
	if err != nil || known != nil {
		return known, wrap("storing jobs", err)
	}
	defer s.room.done(n)
	stored, err := s.gathered(ctx, rows, max)
	if err != nil {
		return nil, wrap("storing jobs", err)
	}
	return stored, nil
}

// reserve takes room in the queue, which the caller gives back. Where there is
// none it looks for what was accepted before: that stays accepted, and is all
// there is to answer if nothing else was asked for.
func (s *Store) reserve(ctx context.Context, rows []row, max int) (n int, known []job.Record, err error) {
	n = s.pressing(rows, indices(rows))
	fits, err := s.takeRoom(ctx, n, max)
	if err != nil || fits {
		return n, nil, wrap("counting the queue", err)
	}
	known, fresh, err := s.known(ctx, rows)
	if err != nil || len(fresh) == 0 {
		return 0, known, err
	}
	if left := s.pressing(rows, fresh); left < n {
		n = left
		if fits, err = s.takeRoom(ctx, n, max); err != nil {
			return 0, nil, wrap("counting the queue", err)
		}
	}
	if !fits {
		return 0, nil, store.ErrQueueFull
	}
	return n, nil, nil
}

// half of the queue is the most that some may take.
func half(max int) int {
	if max <= 0 {
		return 0
	}
	return (max + 1) / 2
}

func indices(rows []row) []int {
	all := make([]int, len(rows))
	for i := range all {
		all[i] = i
	}
	return all
}

// queuedRows makes rows of what is to be submitted.
func (s *Store) queuedRows(records []job.Record) ([]row, error) {
	now := s.instant()
	rows := make([]row, len(records))
	for i, r := range records {
		if err := checkNew(&r); err != nil {
			return nil, err
		}
		r.Sync, r.Status, r.QueuedAt = false, job.Queued, now
		if r.CreatedAt.IsZero() {
			r.CreatedAt = now
		}
		r.CreatedAt = stamp(r.CreatedAt)
		rows[i] = row{Record: r, webhook: r.Request.WebhookURL}
	}
	return rows, nil
}

// checkNew refuses what no database could keep, and clears what only a store
// sets.
func checkNew(r *job.Record) error {
	if r.ID == "" {
		return invalid("a record without an id")
	}
	if r.Request.Priority == 0 {
		r.Request.Priority = 2
	}
	if r.Request.Priority < 1 || r.Request.Priority > 4 {
		return invalid("priority is %d: it must be between 1 and 4", r.Request.Priority)
	}
	r.Attempt, r.Interruptions, r.Attempts, r.CancelRequested = 0, 0, nil, false
	r.StartedAt, r.EndedAt, r.Outcome = time.Time{}, time.Time{}, job.Outcome{}
	return nil
}

// admission is what of a submission gets into the queue.
type admission struct {
	// held answers true for what stays outside; nil for nothing.
	held func(i int) bool
	// later is how many an owner may have that wait for their time; 0 is no
	// bound.
	later int
}

// submit stores rows with their entries.
func (t *txn) submit(ctx context.Context, rows []row, a admission) ([]job.Record, error) {
	out := make([]job.Record, len(rows))
	fresh, twins, err := sortOut(ctx, t, rows, out)
	if err != nil {
		return nil, err
	}
	if a.later > 0 {
		if err := t.boundLater(ctx, rows, fresh, a.later); err != nil {
			return nil, err
		}
	}
	entries := make([]entry.Entry, len(fresh))
	for n, i := range fresh {
		r := rows[i].Request
		entries[n] = entry.Entry{Record: rows[i].ID, Owner: rows[i].Owner, Priority: r.Priority, At: future(r.RunAt, t.s.now()), Held: a.held != nil && a.held(i)}
	}
	ids, err := t.InsertEntries(ctx, entries)
	if err != nil {
		return nil, err
	}
	if err := t.point("entries"); err != nil {
		return nil, err
	}
	news := make([]*row, len(fresh))
	for n, i := range fresh {
		r := rows[i] // not the caller's: the transaction may be run again
		r.entry = ids[r.ID]
		news[n] = &r
	}
	if err := t.insertNew(ctx, news...); err != nil {
		return nil, err
	}
	for n, i := range fresh {
		out[i] = news[n].Record
		t.changed(out[i].ID)
		t.notice.Wake = true
	}
	for i, twin := range twins {
		out[i] = out[twin]
	}
	return out, nil
}

// sortOut finds what was submitted before, in the database (into out) and among
// the rows themselves (twins: which repeats which).
func sortOut(ctx context.Context, q Querier, rows []row, out []job.Record) (fresh []int, twins map[int]int, err error) {
	type key struct{ owner, key string }
	seen := map[key]int{}
	for i, r := range rows {
		if r.IdempotencyKey == "" {
			fresh = append(fresh, i)
			continue
		}
		k := key{r.Owner, r.IdempotencyKey}
		if first, ok := seen[k]; ok {
			if rows[first].Fingerprint != r.Fingerprint {
				return nil, nil, &rowError{r.ID, store.ErrConflict}
			}
			if twins == nil {
				twins = map[int]int{}
			}
			twins[i] = first
			continue
		}
		seen[k] = i
		known, found, err := knownRecord(ctx, q, r)
		if err != nil {
			return nil, nil, &rowError{r.ID, err}
		}
		if found {
			out[i] = known
			continue
		}
		fresh = append(fresh, i)
	}
	return fresh, twins, checkIDs(rows, fresh)
}

// checkIDs refuses an id that two new rows have.
func checkIDs(rows []row, fresh []int) error {
	seen := make(map[string]struct{}, len(fresh))
	for _, i := range fresh {
		if _, ok := seen[rows[i].ID]; ok {
			return &rowError{rows[i].ID, invalid("two jobs have the id %s", rows[i].ID)}
		}
		seen[rows[i].ID] = struct{}{}
	}
	return nil
}

// knownRecord finds the record that an idempotency key made for the same thing.
func knownRecord(ctx context.Context, q Querier, r row) (known job.Record, found bool, err error) {
	known, found, err = keyed(ctx, q, r.Owner, r.IdempotencyKey)
	if found && known.Fingerprint != r.Fingerprint {
		return job.Record{}, false, store.ErrConflict
	}
	return known, found, err
}

// keyed finds the record of an owner's idempotency key.
func keyed(ctx context.Context, q Querier, owner, key string) (job.Record, bool, error) {
	var r row
	found := false
	err := q.Each(ctx, fullQuery+"WHERE r.owner = $1 AND r.idempotency_key = $2 AND r.idempotency_key <> ''",
		[]any{owner, key}, func(scan Scan) error {
			found = true
			return r.scanFull(scan)
		})
	if err != nil || !found {
		return job.Record{}, false, err
	}
	return r.Record, true, nil
}

// ByKey finds the record that an idempotency key made.
func (s *Store) ByKey(ctx context.Context, owner, key string) (r job.Record, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		found := false
		if r, found, err = keyed(ctx, q, owner, key); err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return job.Record{}, wrap("looking for an idempotency key", err)
	}
	return r, nil
}

// known finds what of a submission was accepted before, and what was not.
func (s *Store) known(ctx context.Context, rows []row) (out []job.Record, fresh []int, err error) {
	out = make([]job.Record, len(rows))
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		missing, twins, err := sortOut(ctx, q, rows, out)
		fresh = missing
		for i, twin := range twins {
			out[i] = out[twin]
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return out, fresh, nil
}

// instant is now, as the database keeps it.
func (s *Store) instant() time.Time { return stamp(s.now()) }

// stamp is t as it comes back from the database.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(0, t.UnixNano()).UTC()
}

// future is t if it is still to come, else none: an entry that may run now
// needs no schedule.
func future(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}
