package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// handle is the part that the records of the scenario play in their first
// life: one is retried, one given back, one cancelled, one lost.
func (tr *trial) handle(ctx context.Context, c store.Claim) {
	defer tr.enter(c)()
	var err error
	switch r := c.Record; {
	case r.ID == "a" && r.Attempt == 0:
		if err = tr.ask(func() error { return tr.st.Append(ctx, c, []job.Event{text(3)}, 0) }); err == nil {
			err = tr.ask(func() error { return tr.st.Retry(ctx, c, job.Failure{Type: "x"}, time.Time{}) })
		}
	case r.ID == "b" && r.Interruptions == 0:
		err = tr.ask(func() error { return tr.st.Release(ctx, c) })
	case r.ID == "r" && r.Interruptions == 0:
		err = tr.ask(func() error { return errOf(tr.st.Recover(ctx, "m", time.Now().Add(time.Hour), 100)) })
	case r.ID == "p":
		tr.giveUp(c)
	case r.ID == "c":
		if err = tr.ask(func() error { return errOf(tr.st.Cancel(ctx, "c")) }); err == nil {
			receive(tr, "Cancelled closed", c.Cancelled)
			tr.finish(c, job.Cancelled)
		}
	default:
		tr.finish(c, job.Failed)
	}
	// A report whose answer was lost is refused when it is repeated.
	if err != nil && !errors.Is(err, errDead) && !errors.Is(err, store.ErrLost) {
		tr.Errorf("%s: %v", name(c), err)
	}
}

// giveUp ends a record and has a letter kept of it.
func (tr *trial) giveUp(c store.Claim) {
	out := outcome(name(c))
	out.Error = &job.Failure{Type: "gave_up", Message: c.Record.ID}
	tr.reportEnd(c, "give up", func() error { return tr.st.GiveUp(tr.Context(), c, job.Failed, out) })
}

// recoverAll is the second life: it takes back what the first one held, and
// ends all there is.
func (tr *trial) recoverAll() {
	recovered(tr, tr.st, "n", time.Now(), 100)
	list := tr.list()
	for _, r := range list {
		n, err := tr.st.Position(tr.Context(), r.ID)
		if waits := r.Status == job.Queued; err != nil || waits != (n > 0) || r.Status == job.Running {
			tr.Errorf("after Recover %s is %s and has the place %d, %v", r.ID, r.Status, n, err)
		}
	}
	// The hour that some wait for does not come.
	for _, id := range []string{"later", "by"} {
		for _, r := range list {
			if r.Status == job.Queued && strings.HasPrefix(r.ID, id) {
				if _, err := tr.st.Cancel(tr.Context(), r.ID); err != nil {
					tr.Errorf("cancel %s: %v", r.ID, err)
				}
			}
		}
	}
	w := serve(tr, tr.st, "n", 4, func(_ context.Context, c store.Claim) {
		defer tr.enter(c)()
		tr.report(c)
		if err := tr.st.Finish(tr.Context(), c, job.Succeeded, outcome(name(c))); err != nil {
			tr.Errorf("finish %s: %v", name(c), err)
		}
	})
	tr.await()
	w.stop()
}

// await waits until nothing waits or runs.
func (tr *trial) await() {
	ctx, cancel := context.WithTimeout(tr.Context(), patience)
	defer cancel()
	done := false
	_ = tr.st.Follow(ctx, func(string) {
		stats, err := tr.st.Stats(ctx)
		if err == nil && stats.Queued == 0 && stats.Running == 0 {
			done = true
			cancel()
		}
	})
	if !done {
		tr.Error("waited in vain for the end of the work in the second life")
	}
}

func (tr *trial) list() []job.Record {
	list, _, err := tr.st.List(tr.Context(), store.Filter{Limit: 1000})
	if err != nil {
		tr.Error(err)
	}
	return list
}

// check compares what is there with what clients were told.
func (tr *trial) check() {
	there := map[string]job.Record{}
	for _, r := range tr.list() {
		there[r.ID] = r
		tr.checkEnd(r)
		tr.checkLetter(r)
		tr.checkKey(r)
	}
	for id := range tr.told {
		if _, ok := there[id]; !ok && id != "later" { // which is removed
			tr.Errorf("%s was accepted and is lost", id)
		}
	}
	for _, group := range []string{"a b c", "r p", "bx-0 bx-1", "by-0 by-1"} {
		n, ids := 0, strings.Fields(group)
		for _, id := range ids {
			if _, ok := there[id]; ok {
				n++
			}
		}
		if n != 0 && n != len(ids) {
			tr.Errorf("of %s there are %d", group, n)
		}
		if id, isBatch := strings.CutSuffix(ids[0], "-0"); isBatch {
			tr.checkBatch(id, n > 0)
		}
	}
	tr.remove()
}

// checkLetter looks for the letter of what was given up, and for no other.
func (tr *trial) checkLetter(r job.Record) {
	list, _, err := tr.st.DeadLetters(tr.Context(), "gave_up", 100, 0)
	n := 0
	for _, d := range list {
		if d.JobID == r.ID {
			n++
			if err := tr.st.DeleteDeadLetter(tr.Context(), d.ID); err != nil {
				tr.Error(err)
			}
		}
	}
	want := 0
	if r.Outcome.Error != nil && r.Outcome.Error.Type == "gave_up" {
		want = 1
	}
	if err != nil || n != want {
		tr.Errorf("of %s there are %d letters, want %d, %v", r.ID, n, want, err)
	}
}

// checkEnd checks a record that ran, or did not, to its end.
func (tr *trial) checkEnd(r job.Record) {
	if was, ok := tr.ended[r.ID]; ok {
		if diff := diffRecords(was, r); diff != "" {
			tr.Errorf("%s had ended and changed (-was +is):\n%s", r.ID, diff)
		}
	}
	log := story(tr, tr.st, r.ID)
	if !r.Status.Terminal() || !strings.HasSuffix(" "+log, " end:"+string(r.Status)) || strings.Count(log, "end:") != 1 ||
		strings.Count(log, "status:running") != len(r.Attempts) {
		tr.Errorf("%s is %s after %d attempts, and the log is %s", r.ID, r.Status, len(r.Attempts), log)
	}
	if says := r.Outcome.Stdout; tr.ends[r.ID] > 1 || (says != "" && !slices.Contains(tr.reports[r.ID], says)) {
		tr.Errorf("%s says %q, and its end was accepted %d times", r.ID, says, tr.ends[r.ID])
	}
	list, _, err := tr.st.ListDeliveries(tr.Context(), nil, r.ID, 9, 0)
	if err != nil || (len(list) != 1) == (r.Request.WebhookURL != "") {
		tr.Errorf("%s has %d deliveries, %v", r.ID, len(list), err)
	}
}

func (tr *trial) checkKey(r job.Record) {
	if r.IdempotencyKey == "" {
		return
	}
	again, err := tr.st.Submit(tr.Context(), []job.Record{keyed("again", r.Owner, r.IdempotencyKey, r.Fingerprint)}, 0)
	if err != nil || again[0].ID != r.ID {
		tr.Errorf("the key of %s made another one: %v, %v", r.ID, again, err)
	}
}

func (tr *trial) checkBatch(id string, there bool) {
	b, err := tr.st.Batch(tr.Context(), id)
	if !there {
		if !errors.Is(err, store.ErrNotFound) {
			tr.Errorf("the batch %s without records is %+v, %v", id, b, err)
		}
		return
	}
	if err != nil || b.EndedAt.IsZero() || batchDeliveries(tr, tr.st, id) != 1 {
		tr.Errorf("the batch %s ended as %+v, %v", id, b, err)
	}
	again, err := tr.st.SubmitBatch(tr.Context(), store.Batch{ID: "again", IdempotencyKey: b.IdempotencyKey, Fingerprint: "f"}, records("again", 1), 0)
	if err != nil || again.ID != id {
		tr.Errorf("the key of the batch %s made another one: %+v, %v", id, again, err)
	}
}

// remove leaves nothing to the next trial.
func (tr *trial) remove() {
	_, err := tr.st.DeleteBefore(tr.Context(), time.Now().Add(time.Hour), 1000)
	deliveries, _, _ := tr.st.ListDeliveries(tr.Context(), nil, "", 9, 0)
	if left := tr.list(); err != nil || len(left) > 0 || len(deliveries) > 0 {
		tr.Errorf("%d records and %d deliveries cannot be removed, %v", len(left), len(deliveries), err)
	}
}
