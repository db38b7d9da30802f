package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// eventsAtOnce is how many events one statement inserts.
const eventsAtOnce = 50

// Append adds to a log.
func (s *Store) Append(ctx context.Context, c store.Claim, events []job.Event, max int64) error {
	if len(events) == 0 {
		return nil
	}
	if err := checkEvents(events); err != nil {
		return err
	}
	err := s.write(ctx, "append", func(ctx context.Context, t *txn) error {
		r, err := t.owned(ctx, c)
		if err != nil {
			return err
		}
		kept := fit(&r, unsaid(&r, events), max)
		if err := t.log(ctx, &r, kept); err != nil {
			return err
		}
		t.changed(r.ID)
		return t.Do(ctx, "UPDATE records SET event_seq = $1, event_bytes = $2, said = $3 WHERE seq = $4", r.eventSeq, r.eventBytes, r.said, r.seq)
	})
	return wrap("adding to a log", err)
}

// checkEvents refuses what only the store writes.
func checkEvents(events []job.Event) error {
	for _, e := range events {
		if e.Type == job.EventEnd {
			return invalid("the end of a log is written by the end of its job")
		}
	}
	return nil
}

// unsaid leaves out what is stored already, and counts the rest in r.
func unsaid(r *row, events []job.Event) []job.Event {
	fresh := make([]job.Event, 0, len(events))
	for _, e := range events {
		if e.Said > 0 && e.Said <= r.said {
			continue
		}
		r.said = max(r.said, e.Said)
		fresh = append(fresh, e)
	}
	return fresh
}

// fit drops what the log has no room for, and says so once.
func fit(r *row, events []job.Event, max int64) []job.Event {
	kept := make([]job.Event, 0, len(events))
	for _, e := range events {
		if e.Type == job.EventStatus {
			kept = append(kept, e)
			continue
		}
		if r.eventBytes < 0 {
			continue
		}
		if n := r.eventBytes + int64(len(e.Data)); max <= 0 || n <= max {
			r.eventBytes = n
			kept = append(kept, e)
			continue
		}
		r.eventBytes = -1
		kept = append(kept, job.Event{Attempt: e.Attempt, At: e.At, Type: job.EventTruncated, Data: json.RawMessage("{}")})
	}
	return kept
}

// Events reads a log.
func (s *Store) Events(ctx context.Context, id string, after int64, limit int) ([]job.Event, error) {
	if limit < 1 {
		return nil, invalid("limit is %d: it must be at least 1", limit)
	}
	var events []job.Event
	err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		var seq int64
		found, err := one(ctx, q, "SELECT seq FROM records WHERE id = $1", []any{id}, &seq)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		query := "SELECT n, attempt, at, type, data FROM events WHERE seq = $1 AND n > $2 ORDER BY n LIMIT " + itoa(limit)
		return q.Each(ctx, query, []any{seq, after}, func(scan Scan) error {
			var e job.Event
			var data []byte
			if err := scan(&e.Seq, &e.Attempt, instant{&e.At}, &e.Type, &data); err != nil {
				return err
			}
			e.Data = raw(data)
			events = append(events, e)
			return nil
		})
	})
	return events, wrap("reading a log", err)
}

// log adds events and counts them in r; the caller stores r.eventSeq.
func (t *txn) log(ctx context.Context, r *row, events []job.Event) error {
	for len(events) > 0 {
		n := min(len(events), eventsAtOnce)
		var b strings.Builder
		args := make([]any, 0, 6*n)
		for i, e := range events[:n] {
			r.eventSeq++
			if e.Attempt < 0 {
				e.Attempt = r.run()
			}
			if e.At.IsZero() {
				e.At = t.s.now()
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("(" + marks(len(args)+1, 6) + ")")
			args = append(args, r.seq, r.eventSeq, e.Attempt, nanos(e.At), string(e.Type), blob(e.Data))
		}
		if err := t.Do(ctx, "INSERT INTO events (seq, n, attempt, at, type, data) VALUES "+b.String(), args...); err != nil {
			return fmt.Errorf("adding events: %w", err)
		}
		events = events[n:]
	}
	return nil
}

// run numbers the attempt that is under way, or comes next, or was the last: as
// Attempts has it, interrupted ones included.
func (r *row) run() int {
	if r.Status.Terminal() {
		return max(0, len(r.Attempts)-1)
	}
	return len(r.Attempts)
}

// statusEvent tells of r's status.
func (t *txn) statusEvent(r *row, typ job.EventType) job.Event {
	return job.Event{Attempt: r.run(), At: t.s.now(), Type: typ, Data: json.RawMessage(`{"status":"` + string(r.Status) + `"}`)}
}

// logStatus adds r's status to the log, and counts the event in r.
func (t *txn) logStatus(ctx context.Context, r *row) error {
	return t.log(ctx, r, []job.Event{t.statusEvent(r, job.EventStatus)})
}

func itoa(n int) string { return strconv.Itoa(n) }
