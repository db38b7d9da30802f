package queue

import (
	"context"
	"fmt"
	"sync"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// begun is a sync record on its way into the store. A commit takes as long as
// the disk does, and a sandbox takes longer: they are made at the same time. Only
// where the same key may have run before has the store to answer first.
type begun struct {
	jobs     *Jobs
	done     chan struct{} // closed when the rest is known
	existing *job.Record
	err      error

	mu    sync.Mutex
	claim store.Claim // of the attempt under way
}

func (j *Jobs) begin(ctx context.Context, r job.Record) *begun {
	b := &begun{jobs: j, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		var claim store.Claim
		claim, b.existing, b.err = j.opts.Store.Begin(ctx, r, j.opts.Node)
		b.hold(claim)
	}()
	return b
}

func (b *begun) hold(c store.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claim = c
}

// wait answers the claim; nil where there is another record.
func (b *begun) wait() (*store.Claim, error) {
	<-b.done
	if b.err != nil || b.existing != nil {
		return nil, b.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	claim := b.claim
	return &claim, nil
}

// other answers what wait found in place of a claim: an error, or the record
// that the same key made before, when it has ended.
func (b *begun) other(caller context.Context, j *Jobs) (job.Record, error) {
	if b.err != nil {
		return job.Record{}, fmt.Errorf("storing the job: %w", b.err)
	}
	return j.repeat(caller, b.existing.ID)
}

// repeat waits for the job that the caller's key made before, but not longer
// than this server lasts: it may be one that is to run much later.
func (j *Jobs) repeat(caller context.Context, id string) (job.Record, error) {
	ctx, cancel := both(caller, j.taking)
	defer cancel()
	r, err := j.Wait(ctx, id)
	if err != nil && caller.Err() == nil && j.taking.Err() != nil {
		err = errStopping
	}
	return r, err
}

// log stores what the attempt says, once there is something to add it to.
func (b *begun) log(ctx context.Context, events []job.Event) error {
	claim, err := b.wait()
	if err != nil {
		return err
	}
	if claim == nil {
		return store.ErrLost
	}
	return b.jobs.logOf(*claim)(ctx, events)
}

// untilBegun is until for a claim that is on its way: a record that cannot be
// stored ends the attempt.
func (j *Jobs) untilBegun(b *begun) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(j.working)
	go func() {
		claim, err := b.wait()
		if claim == nil {
			cancel(fmt.Errorf("storing the job: %w", err))
			return
		}
		select {
		case <-claim.Cancelled:
			cancel(errCancelled)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// finishBegun stores an end.
func (j *Jobs) finishBegun(ctx context.Context, b *begun, ended job.Ended) (job.Record, error) {
	claim, err := b.wait()
	if err != nil {
		return job.Record{}, fmt.Errorf("storing the job: %w", err)
	}
	if claim == nil {
		return j.repeat(ctx, b.existing.ID)
	}
	r, err := j.finish(ctx, *claim, ended, false)
	if err == nil && !r.Status.Terminal() {
		return j.repeat(ctx, r.ID) // the claim was lost, and whoever has it ends it
	}
	return r, err
}

// again begins the next attempt of a sync job, after a wait; false when that is
// not to be.
func (b *begun) again(ctx context.Context, r *job.Record, ended job.Ended) bool {
	j := b.jobs
	if !ended.Again || r.Attempt+1 >= r.MaxAttempts || !pause(ctx, j.backoff(r.Attempt)) {
		return false
	}
	claim, err := b.wait()
	if err != nil || claim == nil {
		return false
	}
	next, err := j.opts.Store.NextAttempt(context.WithoutCancel(ctx), *claim, failureOf(ended))
	if err != nil {
		return false // how the first one ended is told, or what the store says of it
	}
	b.hold(next)
	r.Attempt, r.Attempts = next.Record.Attempt, next.Record.Attempts
	return true
}
