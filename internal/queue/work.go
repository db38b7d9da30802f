package queue

import (
	"context"
	"errors"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Why running attempts are ended.
var (
	errCancelled  = errors.New("somebody asked for it")
	errCallerGone = errors.New("the caller has gone away")
	errWatchdog   = errors.New("the watchdog's time ran out")
)

// asyncSlots is how the store takes slots for what it hands out, before it
// knows what that is.
type asyncSlots struct {
	slots   *Slots
	breaker *breaker
}

func (a asyncSlots) Acquire(ctx context.Context) (release func(), err error) {
	tried, err := a.breaker.enter(ctx, Async)
	if err != nil {
		return nil, err
	}
	leave, err := a.slots.Acquire(ctx, Want{Class: Async})
	if err != nil {
		tried()
		return nil, err
	}
	return func() { leave(); tried() }, nil
}

func (a asyncSlots) TryAcquire() (release func(), ok bool) {
	tried, ok := a.breaker.admit(Async)
	if !ok {
		return nil, false
	}
	leave, ok := a.slots.TryAcquire(Want{Class: Async})
	if !ok {
		tried()
		return nil, false
	}
	return func() { leave(); tried() }, true
}

// handle runs one attempt of a job out of the queue.
func (j *Jobs) handle(ctx context.Context, c store.Claim) {
	t, err := j.typeOf(ctx, &c.Record.Request)
	if job.KindOf(err) == job.KindConfig { // as when the job was accepted
		j.end(c, failed("config_error", err.Error(), job.ActorHost))
		return
	}
	if err != nil { // it waits for the database
		j.opts.Log.Warn("a job's type cannot be read", "job", c.Record.ID, "error", err)
		return
	}
	running, cancel := j.until(c)
	defer cancel(nil)
	release, err := j.opts.Slots.Acquire(running, Want{
		Class: Async, Priority: c.Record.Request.Priority, Memory: memoryOf(&c.Record.Request, t), MemoryOnly: true,
	})
	if err != nil && running.Err() == nil {
		j.end(c, failed("config_error", err.Error(), job.ActorHost))
		return
	}
	if err == nil {
		defer release()
	}
	ended := j.run(running, j.logOf(c), c.Record, t)
	if stopped(running, ended) {
		j.giveBack(c)
		return
	}
	ended = cutShort(running, ended)
	switch {
	case ended.Again && c.Record.Attempt+1 < c.Record.MaxAttempts:
		j.retry(c, ended)
	case ended.Again:
		j.giveUp(c, ended)
	default:
		j.end(c, ended)
	}
}

// end stores the end of an attempt.
func (j *Jobs) end(c store.Claim, ended job.Ended) {
	j.settle(c, ended, false)
}

func (j *Jobs) settle(c store.Claim, ended job.Ended, letter bool) {
	if _, err := j.finish(context.WithoutCancel(j.working), c, ended, letter); err != nil {
		j.opts.Log.Error("a job has ended and cannot be stored: it will run again", "job", c.Record.ID, "error", err)
	}
}

// retry puts a job back after a failure of ours.
func (j *Jobs) retry(c store.Claim, ended job.Ended) {
	failure := failureOf(ended)
	at := j.now().Add(j.backoff(c.Record.Attempt))
	j.opts.Log.Warn("an attempt failed and is tried again", "job", c.Record.ID, "attempt", c.Record.Attempt,
		"at", at, "error", failure.Message)
	err := j.opts.Store.Retry(context.WithoutCancel(j.working), c, failure, at)
	if err != nil && !errors.Is(err, store.ErrLost) && !errors.Is(err, store.ErrEnded) {
		j.opts.Log.Error("putting a job back into the queue: its claim will run out", "job", c.Record.ID, "error", err)
	}
}

// giveUp ends a job that we could not run, and keeps it as a dead letter.
func (j *Jobs) giveUp(c store.Claim, ended job.Ended) {
	failure := failureOf(ended)
	ended.Outcome.Error = &failure
	j.settle(c, ended, true)
}

// giveBack returns a claim because this server stops.
func (j *Jobs) giveBack(c store.Claim) {
	err := j.opts.Store.Release(context.WithoutCancel(j.working), c)
	if err != nil && !errors.Is(err, store.ErrLost) && !errors.Is(err, store.ErrEnded) {
		j.opts.Log.Error("handing a job back: its claim will run out", "job", c.Record.ID, "error", err)
	}
}

func failureOf(ended job.Ended) job.Failure {
	if ended.Outcome.Error != nil {
		return *ended.Outcome.Error
	}
	return job.Failure{Type: "internal_error", Message: "the attempt failed without a reason"}
}

// failed is the end of a job that never ran.
func failed(kind, message string, actor job.Actor) job.Ended {
	code := -1
	return job.Ended{Status: job.Failed, Outcome: job.Outcome{
		ExitCode: &code,
		Error:    &job.Failure{Type: kind, Message: message},
		EndedBy:  job.EndedBy{Actor: actor, Detail: message},
	}}
}
