package sqlstore

import (
	"context"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/entry"
)

// owned locks the record of a claim, if the claim still stands.
func (t *txn) owned(ctx context.Context, c store.Claim) (row, error) {
	lock := t.lockRow
	if c.Record.Sync {
		lock = t.lockRecord
	}
	r, err := lock(ctx, c.Record.ID)
	switch {
	case err != nil:
		return row{}, err
	case r.Status.Terminal():
		return row{}, store.ErrEnded
	case r.Status != job.Running, r.node != c.Node, r.life != t.s.life,
		r.Attempt != c.Record.Attempt, r.Interruptions != c.Record.Interruptions:
		return row{}, store.ErrLost
	}
	return r, nil
}

// Finish ends a record.
func (s *Store) Finish(ctx context.Context, c store.Claim, status job.Status, out job.Outcome, more ...job.Event) error {
	if !status.Terminal() {
		return invalid("%q is no end of a job", status)
	}
	err := s.finish(ctx, "finish", c, more, func(ctx context.Context, t *txn, r *row, more []job.Event) error {
		return t.end(ctx, r, status, out, more...)
	})
	return s.reported(c, "ending a job", err)
}

// GiveUp ends a record and keeps a dead letter of it.
func (s *Store) GiveUp(ctx context.Context, c store.Claim, status job.Status, out job.Outcome, more ...job.Event) error {
	if !status.Terminal() || out.Error == nil {
		return invalid("a job is given up with an end and an error")
	}
	err := s.finish(ctx, "giveup", c, more, func(ctx context.Context, t *txn, r *row, more []job.Event) error {
		if err := t.letter(ctx, r, *out.Error); err != nil {
			return err
		}
		return t.end(ctx, r, status, out, more...)
	})
	return s.reported(c, "giving a job up", err)
}

// finish reports on a claim with end, which gets those of the events more that are
// to be stored.
func (s *Store) finish(ctx context.Context, name string, c store.Claim, more []job.Event,
	end func(ctx context.Context, t *txn, r *row, more []job.Event) error) error {
	if err := checkEvents(more); err != nil {
		return err
	}
	return s.write(ctx, name, func(ctx context.Context, t *txn) error {
		r, err := t.owned(ctx, c)
		if err != nil {
			return err
		}
		return end(ctx, t, &r, fit(&r, unsaid(&r, more), c.MaxLog))
	})
}

// NextAttempt begins another attempt under the same lease.
func (s *Store) NextAttempt(ctx context.Context, c store.Claim, failure job.Failure) (store.Claim, error) {
	var r row
	err := s.write(ctx, "again", func(ctx context.Context, t *txn) (err error) {
		if r, err = t.owned(ctx, c); err != nil {
			return err
		}
		if r.CancelRequested {
			return store.ErrEnded
		}
		t.closeAttempt(&r, job.Queued, &failure, c.Node)
		r.Attempt++
		r.StartedAt = t.s.instant()
		attempts, err := attemptsText(r.Attempts)
		if err != nil {
			return err
		}
		if err := t.logStatus(ctx, &r); err != nil {
			return err
		}
		t.changed(r.ID)
		_, err = t.Exec(ctx, "UPDATE records SET attempt = $1, attempts = $2, started_at = $3, said = 0, event_seq = $4 WHERE seq = $5",
			r.Attempt, attempts, nanos(r.StartedAt), r.eventSeq, r.seq)
		return err
	})
	if err != nil {
		return c, wrap("beginning another attempt", err)
	}
	c.Record.Attempt, c.Record.Attempts, c.Record.StartedAt = r.Attempt, r.Attempts, r.StartedAt
	s.claims.next(c)
	return c, nil
}

// Forget renews a claim no more.
func (s *Store) Forget(c store.Claim) { s.claims.settled(c) }

// Retry puts a record back after a failed attempt.
func (s *Store) Retry(ctx context.Context, c store.Claim, failure job.Failure, at time.Time) error {
	err := s.write(ctx, "retry", func(ctx context.Context, t *txn) error {
		r, err := t.owned(ctx, c)
		if err != nil {
			return err
		}
		if r.CancelRequested {
			return t.end(ctx, &r, job.Cancelled, cancelledOutcome())
		}
		t.closeAttempt(&r, job.Queued, &failure, c.Node)
		r.Attempt++
		return t.requeue(ctx, &r, at)
	})
	return s.reported(c, "putting a job back", err)
}

// Release puts a record back that was interrupted.
func (s *Store) Release(ctx context.Context, c store.Claim) error {
	return s.release(ctx, c, 0, -1)
}

// release has the record run again after a delay; without one it keeps its
// place. Limit is interrupt's.
func (s *Store) release(ctx context.Context, c store.Claim, delay time.Duration, limit int) error {
	err := s.write(ctx, "release", func(ctx context.Context, t *txn) error {
		r, err := t.owned(ctx, c)
		if err != nil {
			return err
		}
		at := r.readyAt
		if delay > 0 {
			at = s.now().Add(delay)
		}
		return t.interrupt(ctx, &r, at, limit)
	})
	return s.reported(c, "giving a job back", err)
}

// reported forgets the claim that a report settled. One that failed for the
// database's sake stays, to be reported again.
func (s *Store) reported(c store.Claim, doing string, err error) error {
	if err == nil || isAnswer(err) {
		s.claims.settled(c)
	}
	return wrap(doing, err)
}

// interrupt ends the attempt of r, which its server did not bring to an end,
// and puts r back, unless it is not to run again. A limit of 0 and above is how
// many interruptions are too few to give up.
func (t *txn) interrupt(ctx context.Context, r *row, at time.Time, limit int) error {
	failure := job.Failure{Type: "interrupted", Message: "job interrupted by server restart before completion"}
	again := !r.Sync
	if again {
		never, err := t.retriesNever(ctx, r.seq)
		if err != nil {
			return err
		}
		again = !never
	}
	if r.CancelRequested {
		return t.end(ctx, r, job.Cancelled, cancelledOutcome())
	}
	if again && limit >= 0 && r.Interruptions+1 > limit {
		again = false
		failure.Message = "job interrupted too often: its server stopped, or could not store its end, each time that it ran"
		if err := t.letter(ctx, r, failure); err != nil {
			return err
		}
	}
	if !again {
		r.Interruptions++
		return t.end(ctx, r, job.Failed, job.Outcome{Error: &failure, Host: r.node,
			EndedBy: job.EndedBy{Actor: job.ActorHost, Detail: failure.Message}})
	}
	t.closeAttempt(r, job.Queued, &failure, r.node)
	r.Interruptions++
	return t.requeue(ctx, r, at)
}

func (t *txn) retriesNever(ctx context.Context, seq int64) (bool, error) {
	var q row
	var body []byte
	if _, err := one(ctx, t, "SELECT body FROM requests WHERE seq = $1", []any{seq}, &body); err != nil {
		return false, err
	}
	if err := q.decodeRequest(body, nil); err != nil {
		return false, err
	}
	return q.Request.Retry == job.RetryNever, nil
}

// closeAttempt adds the attempt that is under way to those that were.
func (t *txn) closeAttempt(r *row, status job.Status, failure *job.Failure, host string) {
	r.Attempts = append(r.Attempts, job.AttemptRecord{N: len(r.Attempts), StartedAt: r.StartedAt, EndedAt: t.s.instant(),
		Status: status, Error: failure, Host: host})
}

// requeue makes r wait again, in a new entry.
func (t *txn) requeue(ctx context.Context, r *row, at time.Time) error {
	now := t.s.now()
	if at.IsZero() {
		at = now
	}
	var request row
	var body []byte
	if _, err := one(ctx, t, "SELECT body FROM requests WHERE seq = $1", []any{r.seq}, &body); err != nil {
		return err
	}
	if err := request.decodeRequest(body, nil); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, "DELETE FROM river_job WHERE id = $1", r.entry); err != nil {
		return err
	}
	ids, err := t.InsertEntries(ctx, []entry.Entry{{Record: r.ID, Owner: r.Owner, Priority: request.Request.Priority, At: at}})
	if err != nil {
		return err
	}
	if !at.After(now) {
		// River makes whatever has a time wait for the next promotion.
		if _, err := t.Exec(ctx, "UPDATE river_job SET state = 'available' WHERE id = $1", ids[r.ID]); err != nil {
			return err
		}
	}
	if err := t.point("entries"); err != nil {
		return err
	}
	attempts, err := attemptsText(r.Attempts)
	if err != nil {
		return err
	}
	r.Status, r.entry = job.Queued, ids[r.ID]
	if err := t.logStatus(ctx, r); err != nil {
		return err
	}
	t.changed(r.ID)
	t.notice.Wake = true
	_, err = t.Exec(ctx, `UPDATE records SET status = 'queued', entry = $1, attempt = $2, interruptions = $3, attempts = $4,
 ready_at = $5, node = '', life = '', lease = 0, said = 0, event_seq = $6 WHERE seq = $7`,
		r.entry, r.Attempt, r.Interruptions, attempts, nanos(at), r.eventSeq, r.seq)
	return err
}

// end brings a locked record to its end, whatever it was doing.
func (t *txn) end(ctx context.Context, r *row, status job.Status, out job.Outcome, more ...job.Event) error {
	if r.Status == job.Running {
		t.closeAttempt(r, status, out.Error, r.node)
	}
	if r.entry != 0 {
		if err := t.Do(ctx, "DELETE FROM river_job WHERE id = $1", r.entry); err != nil {
			return err
		}
	}
	if err := t.point("entry"); err != nil {
		return err
	}
	r.Status, r.EndedAt = status, t.s.instant()
	if err := insertOutcome(ctx, t, *r, out); err != nil {
		return err
	}
	if err := t.log(ctx, r, append(more, t.statusEvent(r, job.EventEnd))); err != nil {
		return err
	}
	if err := t.point("outcome"); err != nil {
		return err
	}
	attempts, err := attemptsText(r.Attempts)
	if err != nil {
		return err
	}
	if err := t.Do(ctx, `UPDATE records SET status = $1, ended_at = $2, attempts = $3, interruptions = $4, entry = 0,
 node = '', life = '', lease = 0, event_seq = $5 WHERE seq = $6`,
		string(status), nanos(r.EndedAt), attempts, r.Interruptions, r.eventSeq, r.seq); err != nil {
		return err
	}
	t.changed(r.ID)
	return t.follows(ctx, r)
}

// follows schedules what the end of a record brings about.
func (t *txn) follows(ctx context.Context, r *row) error {
	if r.webhook != "" {
		if err := t.deliver(ctx, store.Delivery{JobID: r.ID, Owner: r.Owner, URL: r.webhook}); err != nil {
			return err
		}
	}
	if r.BatchID == "" {
		return nil
	}
	if t.batches == nil {
		t.batches = map[string]struct{}{}
	}
	t.batches[r.BatchID] = struct{}{}
	return nil
}

func cancelledOutcome() job.Outcome {
	return job.Outcome{Error: &job.Failure{Type: "cancelled", Message: "Execution was cancelled by user"},
		EndedBy: job.EndedBy{Actor: job.ActorCancel}}
}
