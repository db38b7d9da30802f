package queue

import (
	"context"
	"fmt"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// begun is a sync record on its way into the store. A commit takes as long as
// the disk does, and a sandbox takes longer: they are made at the same time. Only
// where the same key may have run before has the store to answer first.
type begun struct {
	jobs     *Jobs
	done     chan struct{} // closed when the rest is known
	claim    store.Claim
	existing *job.Record
	err      error
}

func (j *Jobs) begin(ctx context.Context, r job.Record) *begun {
	b := &begun{jobs: j, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.claim, b.existing, b.err = j.opts.Store.Begin(ctx, r, j.opts.Node)
	}()
	return b
}

// wait answers the claim; nil where there is another record.
func (b *begun) wait() (*store.Claim, error) {
	<-b.done
	if b.err != nil || b.existing != nil {
		return nil, b.err
	}
	return &b.claim, nil
}

// other answers what wait found in place of a claim: an error, or the record
// that the same key made before, when it has ended.
func (b *begun) other(caller context.Context, j *Jobs) (job.Record, error) {
	if b.err != nil {
		return job.Record{}, fmt.Errorf("storing the job: %w", b.err)
	}
	return j.Wait(caller, b.existing.ID)
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
		return j.Wait(ctx, b.existing.ID)
	}
	return j.finish(ctx, *claim, ended)
}
