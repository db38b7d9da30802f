package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/store"
)

// A server that stops does not wait for a job that a caller's key stands for
// and that nobody takes any more.
func TestStopWithRepeat(t *testing.T) {
	r := newRig(t)
	o := queue.Origin{IdempotencyKey: "a key for later"}
	req := request("x")
	req.RunAt = time.Now().Add(time.Hour)
	r.submit(t, req, o)
	answered := make(chan error, 1)
	go func() {
		_, err := r.Execute(t.Context(), req, o)
		answered <- err
	}()
	r.Stop(t.Context())
	if err := <-answered; job.KindOf(err) != job.KindUnavailable {
		t.Errorf("the repeat was answered %v", err)
	}
}

// A cancel, or a caller who goes away, while a sync job waits to be tried again
// ends it as cancelled.
func TestCancelBetweenAttempts(t *testing.T) {
	for name, end := range map[string]func(r *rig, id string, gone func()) error{
		"cancel": func(r *rig, id string, _ func()) error {
			changed, leave := r.Listen(id)
			defer leave()
			for {
				_, err := r.Cancel(context.Background(), job.Principal{}, id)
				if !errors.Is(err, store.ErrNotFound) { // it is being stored
					return err
				}
				if err := changed(context.Background()); err != nil {
					return err
				}
			}
		},
		"caller gone": func(_ *rig, _ string, gone func()) error { gone(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *queue.Options) { o.RetryBase = time.Hour })
			caller, gone := context.WithCancel(t.Context())
			defer gone()
			req := request("broken")
			req.CancelOnDisconnect = true
			done := make(chan job.Record, 1)
			go func() {
				rec, err := r.Execute(caller, req, queue.Origin{})
				if err != nil {
					t.Error(err)
				}
				done <- rec
			}()
			id := <-r.exec.started
			if err := end(r, id, gone); err != nil {
				t.Fatal(err)
			}
			if rec := <-done; rec.Status != job.Cancelled || rec.Outcome.Error.Type != "cancelled" || rec.Outcome.EndedBy.Actor != job.ActorCancel {
				t.Errorf("it ended as %s, %+v", rec.Status, rec.Outcome)
			}
			letters, _, err := r.store.DeadLetters(t.Context(), "", 10, 0)
			if err != nil || len(letters) > 0 {
				t.Errorf("letters: %+v, %v", letters, err)
			}
		})
	}
}

// refusing is a store that takes no outcome with output.
type refusing struct{ store.Store }

func (s refusing) Finish(ctx context.Context, c store.Claim, status job.Status, out job.Outcome, more ...job.Event) error {
	if out.Stdout != "" {
		return errors.New("no")
	}
	return s.Store.Finish(ctx, c, status, out, more...)
}

// An end that cannot be stored ends the job all the same, as our failure.
func TestEndThatCannotBeStored(t *testing.T) {
	r := newRig(t, func(o *queue.Options) { o.Store = refusing{o.Store} })
	rec := r.wait(t, r.submit(t, request("x"), queue.Origin{}).ID)
	if rec.Status != job.Failed || rec.Outcome.Error.Type != "internal_error" || r.exec.ran.Load() != 1 {
		t.Errorf("after %d runs: %s, %+v", r.exec.ran.Load(), rec.Status, rec.Outcome)
	}
	now, err := r.Execute(t.Context(), request("x"), queue.Origin{})
	if err != nil || now.Status != job.Failed || now.Outcome.Error.Type != "internal_error" {
		t.Errorf("sync: %+v, %v", now, err)
	}
	if letters, _, err := r.store.DeadLetters(t.Context(), "internal_error", 10, 0); err != nil || len(letters) != 2 {
		t.Errorf("letters: %+v, %v", letters, err)
	}
}

// A repeat of what has ended needs no slot.
func TestRepeatNeedsNoSlot(t *testing.T) {
	r := newRig(t, func(o *queue.Options) { o.Slots = queue.NewSlots(queue.Budget{Slots: 1}) })
	o := queue.Origin{IdempotencyKey: "a key once"}
	first, err := r.Execute(t.Context(), request("x"), o)
	if err != nil {
		t.Fatal(err)
	}
	<-r.exec.started
	r.submit(t, request("wait"), queue.Origin{})
	<-r.exec.started
	if again, err := r.Execute(t.Context(), request("x"), o); err != nil || again.ID != first.ID {
		t.Errorf("%+v, %v", again, err)
	}
	close(r.exec.release)
}
