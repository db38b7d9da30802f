package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/trace"
)

// errStopping refuses work while the server stops.
var errStopping = job.Errorf(job.KindUnavailable, "the server is stopping")

// Execute runs a job while the caller waits, and returns its record, ended. The
// job goes on when the caller is gone, unless the request asked to be cancelled
// then; ctx is the caller's.
func (j *Jobs) Execute(ctx context.Context, req job.Request, o Origin) (job.Record, error) {
	r, err := j.newRecord(ctx, req, o)
	if err != nil {
		return job.Record{}, err
	}
	r.ID, r.Sync = "api-"+r.ID, true
	if !j.enter() {
		return job.Record{}, errStopping
	}
	defer j.tasks.Done()
	if r.IdempotencyKey != "" {
		if known, err := j.opts.Store.ByKey(ctx, r.Owner, r.IdempotencyKey); err == nil {
			if known.Fingerprint != r.Fingerprint {
				return job.Record{}, store.ErrConflict
			}
			return j.repeat(ctx, known.ID) // which needs no slot
		} else if !errors.Is(err, store.ErrNotFound) {
			return job.Record{}, err
		}
	}
	t, err := j.typeOf(ctx, &r.Request)
	if job.KindOf(err) == job.KindConfig {
		return j.refuseNow(ctx, r, err)
	}
	if err != nil {
		return job.Record{}, err
	}
	waiting, cancel := both(ctx, j.taking)
	defer cancel()
	release, err := j.opts.Slots.Acquire(waiting, Want{Class: Sync, Priority: req.Priority, Key: o.Principal.Name, Memory: memoryOf(&req, t)})
	if err != nil {
		return job.Record{}, j.notAdmitted(ctx, err)
	}
	defer release()
	return j.executeNow(ctx, r, t, release)
}

// memoryOf is what an attempt may hold, in bytes.
func memoryOf(req *job.Request, t job.Type) int64 {
	if m := req.Limits.Memory; m != nil {
		return *m
	}
	return t.Limits.Memory
}

// enter counts one more sync job, unless the server stops.
func (j *Jobs) enter() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.stopped {
		j.tasks.Add(1)
	}
	return !j.stopped
}

// both ends with either context.
func both(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}

func (j *Jobs) notAdmitted(caller context.Context, err error) error {
	switch {
	case errors.Is(err, ErrBusy):
		return store.ErrQueueFull
	case caller.Err() != nil:
		return caller.Err()
	case errors.Is(err, context.Canceled):
		return errStopping
	}
	return err
}

// executeNow runs a job whose record is stored as running meanwhile, and stores
// its end.
func (j *Jobs) executeNow(caller context.Context, r job.Record, t job.Type, release func()) (job.Record, error) {
	// What was begun is finished, whoever goes away meanwhile.
	ctx := context.WithoutCancel(caller)
	r.Status, r.StartedAt = job.Running, j.now()
	b := j.begin(ctx, r)
	if r.IdempotencyKey != "" {
		// It may have run before. A repeat waits for the first without its slot.
		if claim, err := b.wait(); err != nil || claim == nil {
			release()
			return b.other(caller, j)
		}
	}
	tried, ok := j.breaker.admit(Sync)
	if !ok {
		return j.finishBegun(ctx, b, failed("service_unavailable", "Sandbox engine unavailable (circuit breaker open)", job.ActorEngine))
	}
	defer tried()
	running, cancel := j.untilBegun(b)
	defer cancel(nil)
	running = trace.Join(running, caller)
	if r.Request.CancelOnDisconnect {
		defer context.AfterFunc(caller, func() { cancel(errCallerGone) })()
	}
	ended := j.run(running, b.log, r, t)
	// Tried again under the same lease: the caller waits, and no queue is asked.
	for b.again(running, &r, ended) {
		ended = j.run(running, b.log, r, t)
	}
	return j.finishBegun(ctx, b, cutShort(running, ended))
}

// stopped reports an attempt that did not come to its end because this server
// stops.
func stopped(running context.Context, ended job.Ended) bool {
	return errors.Is(context.Cause(running), runner.ErrOperator) && (ended.Again || ended.Status == job.Cancelled)
}

// cutShort is how an attempt ended whose context may have ended while nothing
// ran: before it, or while it waited to be tried again.
func cutShort(running context.Context, ended job.Ended) job.Ended {
	cause := context.Cause(running)
	switch {
	case stopped(running, ended):
		return interrupted(ended)
	case ended.Again && (errors.Is(cause, errCancelled) || errors.Is(cause, errCallerGone)):
		ended.Status, ended.Again = job.Cancelled, false
		ended.Outcome.Error = &job.Failure{Type: "cancelled", Message: "Execution was cancelled by user"}
		ended.Outcome.EndedBy = job.EndedBy{Actor: job.ActorCancel, Detail: cause.Error()}
	}
	return ended
}

// refuseNow stores a record that ends before it began.
func (j *Jobs) refuseNow(caller context.Context, r job.Record, why error) (job.Record, error) {
	ctx := context.WithoutCancel(caller)
	r.Status, r.StartedAt = job.Running, j.now()
	b := j.begin(ctx, r)
	if claim, err := b.wait(); err != nil || claim == nil {
		return b.other(caller, j)
	}
	return j.finishBegun(ctx, b, failed("config_error", why.Error(), job.ActorHost))
}

// interrupted is the end of a sync job that this server did not let go on: with
// its caller goes the reason to run it again.
func interrupted(ended job.Ended) job.Ended {
	ended.Status = job.Failed
	ended.Outcome.Error = &job.Failure{Type: "interrupted", Message: "job interrupted by server restart before completion"}
	return ended
}

// logOf stores what the attempt of a claim says.
func (j *Jobs) logOf(c store.Claim) func(context.Context, []job.Event) error {
	return func(ctx context.Context, events []job.Event) error {
		return j.opts.Store.Append(ctx, c, events, j.opts.MaxEventLog)
	}
}

// until is the context of an attempt: it ends when somebody asks for that, when
// the claim is lost, and with what this server does.
func (j *Jobs) until(c store.Claim) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(j.working)
	go func() {
		select {
		case <-c.Cancelled:
			cancel(errCancelled)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// run runs an attempt of r; log stores what it says.
func (j *Jobs) run(ctx context.Context, log func(context.Context, []job.Event) error, r job.Record, t job.Type) job.Ended {
	ctx, cancel := context.WithTimeoutCause(ctx, watchdog(&r.Request, t), errWatchdog)
	defer cancel()
	ctx, span := j.opts.Tracer.Start(ctx, "attempt", trace.Internal)
	ended := j.opts.Executor.Run(ctx, &r, t, log)
	span.Set("tako.job", r.ID)
	span.Set("tako.status", string(ended.Status))
	span.Set("tako.supply", string(ended.Outcome.Sandbox.Supply))
	span.End(ended.Again)
	j.breaker.hear(context.Cause(ctx), ended)
	if errors.Is(context.Cause(ctx), errWatchdog) && ended.Status == job.Cancelled {
		ended = j.watched(&r, t, ended)
	}
	return ended
}

// watched is the end of an attempt that the watchdog had to end.
func (j *Jobs) watched(r *job.Record, t job.Type, ended job.Ended) job.Ended {
	ended.Status = job.Timeout
	ended.Outcome.EndedBy = job.EndedBy{Actor: job.ActorTimeout, Limit: "watchdog", Signal: "SIGKILL"}
	ended.Outcome.Error = &job.Failure{Type: "execution_timeout", Message: fmt.Sprintf(
		"Execution exceeded the watchdog budget of %ds (startup + execution + orchestration buffer); the sandbox was killed",
		int(watchdog(&r.Request, t).Seconds()))}
	return ended
}

// watchdog is longer than any attempt takes that keeps its own times.
func watchdog(req *job.Request, t job.Type) time.Duration {
	const orchestration = time.Minute
	startup, execution := t.Limits.Startup, t.Limits.Execution
	if req.StartupTimeout > 0 {
		startup = time.Duration(req.StartupTimeout) * time.Second
	}
	if req.Timeout > 0 {
		execution = time.Duration(req.Timeout) * time.Second
	}
	return startup + execution + orchestration
}

// finish stores an end, however long the database is away, and returns the
// record as it is then. A letter is kept of what is given up. An end that the
// store does not take becomes a failure that it does.
func (j *Jobs) finish(ctx context.Context, c store.Claim, ended job.Ended, letter bool) (job.Record, error) {
	r := c.Record
	c.MaxLog = j.opts.MaxEventLog
	report := j.opts.Store.Finish
	if letter {
		report = j.opts.Store.GiveUp
	}
	refused := false
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		r.Status, r.Outcome, r.EndedAt = ended.Status, ended.Outcome, j.now()
		err := report(ctx, c, ended.Status, ended.Outcome, ended.Events...)
		if err == nil {
			j.ended(&r)
			return r, nil
		}
		if errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrLost) {
			return j.stored(ctx, r), nil
		}
		j.opts.Log.Error("storing the end of a job", "job", r.ID, "error", err)
		if job.KindOf(err) != job.KindUnavailable && !refused {
			refused = true
			ended = failed("internal_error", "the outcome of the job could not be stored", job.ActorHost)
			report = j.opts.Store.GiveUp
			continue
		}
		if refused || !pause(j.working, wait) {
			j.opts.Store.Forget(c)
			return r, fmt.Errorf("storing the end of job %s: %w", r.ID, err)
		}
	}
}

// stored prefers the record as the store has it.
func (j *Jobs) stored(ctx context.Context, r job.Record) job.Record {
	if kept, err := j.opts.Store.Get(ctx, r.ID); err == nil {
		return kept
	}
	return r
}

// backoff is the wait after attempt n, counted from 0.
func (j *Jobs) backoff(n int) time.Duration {
	const most = 30 * time.Second
	return min(most, j.opts.RetryBase<<min(n, 10))
}

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
