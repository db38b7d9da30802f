package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

const (
	// modelLimit is how many interruptions the model's records survive.
	modelLimit = 2
	// modelTime bounds the search, unless -rapid.checks says how far it goes.
	modelTime = 8 * time.Second
)

// model compares a store with the simplest thing that behaves like one, over
// random lives of jobs.
func (s *suite) model(t *testing.T) {
	var m *machine
	checks := flag.Lookup("rapid.checks")
	bounded, began := checks.Value.String() == checks.DefValue, time.Now()
	rapid.Check(t, func(r *rapid.T) {
		failed := m != nil && len(m.jobs) > 0
		if bounded && !failed && time.Since(began) > modelTime {
			return
		}
		if m == nil || failed { // a failure left the last one as it was
			m = &machine{suite: s, outer: t, db: s.New(t)}
			m.open(t)
		}
		m.check(r)
	})
	m.w.stop()
}

// machine is a store and its model. Nothing happens in the store but what the
// model asks for.
type machine struct {
	*suite
	outer *testing.T
	db    Database
	tb    tb
	st    life
	w     *server
	claim tokens
	got   <-chan held

	made  int
	jobs  []*modelJob
	stale []store.Claim
}

// modelJob is what is known of a record.
type modelJob struct {
	job.Record
	place time.Time // among those of its priority
	held  *held
	claim store.Claim
	story []string
}

// tb has helpers report to rapid, which then looks for a simpler failure.
type tb struct {
	testing.TB
	r *rapid.T
}

func (t tb) Errorf(format string, args ...any) { t.r.Errorf(format, args...) }
func (t tb) Error(args ...any)                 { t.r.Error(args...) }
func (t tb) Fatalf(format string, args ...any) { t.r.Fatalf(format, args...) }
func (t tb) Fatal(args ...any)                 { t.r.Fatal(args...) }

// tokens are slots that are made one by one and used up. One that comes back
// says so by closing itself.
type tokens chan chan struct{}

func (k tokens) Acquire(ctx context.Context) (func(), error) {
	select {
	case token := <-k:
		return func() { close(token) }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k tokens) TryAcquire() (func(), bool) {
	select {
	case token := <-k:
		return func() { close(token) }, true
	default:
		return nil, false
	}
}

func (m *machine) open(t testing.TB) {
	m.st = live(m.outer, m.db)
	m.claim = make(tokens, 1)
	m.got, m.w = collectIn(m.outer, m.st, "n", m.claim)
}

func (m *machine) check(r *rapid.T) {
	m.tb = tb{m.outer, r}
	r.Repeat(map[string]func(*rapid.T){
		"submit": m.submit, "begin": m.begin, "claim": m.take, "append": m.append, "finish": m.finish, "retry": m.retry,
		"release": m.release, "cancel": m.cancel, "recover": m.recover, "crash": m.crash, "stale": m.reportStale, "delete": m.delete,
		"": m.compare,
	})
	for _, j := range slices.Clone(m.jobs) {
		if j.Status == job.Running {
			m.ends(j, job.Succeeded, m.st.Finish(m.tb.Context(), j.claim, job.Succeeded, job.Outcome{}))
		}
		m.logs(j)
		if j.Status == job.Queued {
			if _, err := m.st.Cancel(m.tb.Context(), j.ID); err != nil {
				m.tb.Fatal(err)
			}
			m.end(j, job.Cancelled)
		}
		m.remove(j)
	}
	m.stale = nil
}

// pick chooses one of the jobs that are as wanted, and skips the action where
// there is none.
func (m *machine) pick(r *rapid.T, is func(j *modelJob) bool) *modelJob {
	var some []*modelJob
	for _, j := range m.jobs {
		if is(j) {
			some = append(some, j)
		}
	}
	if len(some) == 0 {
		r.Skip("no such job")
	}
	return rapid.SampledFrom(some).Draw(r, "job")
}

// GoString is what rapid prints.
func (j *modelJob) GoString() string { return j.ID + ":" + string(j.Status) }

func (j *modelJob) running() bool { return j.Status == job.Running }
func (j *modelJob) waiting() bool { return j.Status == job.Queued }
func (j *modelJob) ended() bool   { return j.Status.Terminal() }

func (m *machine) draw(r *rapid.T) job.Record {
	m.made++
	rec := record(fmt.Sprint("r", m.made))
	rec.Request.Priority = rapid.IntRange(1, 4).Draw(r, "priority")
	rec.Request.Retry = rapid.SampledFrom([]job.Retry{job.RetryInfrastructure, job.RetryInfrastructure, job.RetryNever}).Draw(r, "retry")
	rec.IdempotencyKey = rapid.SampledFrom([]string{"", "", "k", "l"}).Draw(r, "key")
	if rec.IdempotencyKey != "" {
		rec.Fingerprint = rapid.SampledFrom([]string{"f", "f", "g"}).Draw(r, "fingerprint")
	}
	return rec
}

// known is the job that an idempotency key made.
func (m *machine) known(rec job.Record) *modelJob {
	for _, j := range m.jobs {
		if rec.IdempotencyKey != "" && j.IdempotencyKey == rec.IdempotencyKey {
			return j
		}
	}
	return nil
}

func (m *machine) submit(r *rapid.T) {
	rec := m.draw(r)
	stored, err := m.st.Submit(m.tb.Context(), []job.Record{rec}, 0)
	switch j := m.known(rec); {
	case j != nil && j.Fingerprint != rec.Fingerprint:
		if !errors.Is(err, store.ErrConflict) {
			r.Fatalf("another payload: %v", err)
		}
	case err != nil:
		r.Fatal(err)
	case j != nil:
		if stored[0].ID != j.ID {
			r.Fatalf("the key of %s made %s", j.ID, stored[0].ID)
		}
	default:
		m.jobs = append(m.jobs, &modelJob{Record: stored[0], place: stored[0].QueuedAt})
	}
}

func (m *machine) begin(r *rapid.T) {
	rec := m.draw(r)
	c, existing, err := m.st.Begin(m.tb.Context(), rec, node("n"))
	switch j := m.known(rec); {
	case j != nil && j.Fingerprint != rec.Fingerprint:
		if !errors.Is(err, store.ErrConflict) {
			r.Fatalf("another payload: %v", err)
		}
	case err != nil:
		r.Fatal(err)
	case j != nil:
		if existing == nil || existing.ID != j.ID {
			r.Fatalf("the key of %s found %v", j.ID, existing)
		}
	default:
		m.jobs = append(m.jobs, &modelJob{Record: c.Record, claim: c, story: []string{"status:running"}})
	}
}

// offer makes a slot and waits for the claim that takes it. A slot that comes
// back first was taken for a claim that the database failed; there is another.
func (m *machine) offer() held {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		token := make(chan struct{})
		m.claim <- token
		select {
		case h := <-m.got:
			return h
		case <-token:
		case <-time.After(patience):
		}
	}
	m.tb.Fatalf("waited in vain: a claim")
	panic("not reached")
}

// take has one claim handed out, and checks that it is the one that is next.
func (m *machine) take(r *rapid.T) {
	m.pick(r, (*modelJob).waiting)
	h := m.offer()
	var taken *modelJob
	for _, j := range m.jobs {
		if j.ID == h.Record.ID {
			taken = j
		}
	}
	if taken == nil || !taken.waiting() {
		r.Fatalf("%s is run: %+v", h.Record.ID, taken)
	}
	for _, j := range m.jobs {
		// Places that are nearer than that may be the same to a database.
		if j.waiting() && (j.Request.Priority < taken.Request.Priority ||
			j.Request.Priority == taken.Request.Priority && j.place.Add(2*time.Millisecond).Before(taken.place)) {
			r.Fatalf("%s is run before %s: priority %d and %d, place %v and %v", taken.ID, j.ID,
				taken.Request.Priority, j.Request.Priority, taken.place, j.place)
		}
	}
	taken.held, taken.claim, taken.Status = &h, h.Claim, job.Running
	taken.story = append(taken.story, "status:running")
}

func (m *machine) append(r *rapid.T) {
	j := m.pick(r, (*modelJob).running)
	if err := m.st.Append(m.tb.Context(), j.claim, []job.Event{text(2)}, 0); err != nil {
		r.Fatal(err)
	}
	j.story = append(j.story, "stdout:{}")
}

func (m *machine) finish(r *rapid.T) {
	j := m.pick(r, (*modelJob).running)
	status := rapid.SampledFrom([]job.Status{job.Succeeded, job.Failed, job.Timeout, job.OOM, job.Cancelled}).Draw(r, "status")
	m.ends(j, status, m.st.Finish(m.tb.Context(), j.claim, status, outcome("")))
}

func (m *machine) ends(j *modelJob, status job.Status, err error) {
	if err != nil {
		m.tb.Fatalf("ending %s: %v", j.ID, err)
	}
	m.end(j, status)
}

// end ends a job in the model.
func (m *machine) end(j *modelJob, status job.Status) {
	m.letGo(j)
	j.Status = status
	j.story = append(j.story, "end:"+string(status))
}

func (m *machine) letGo(j *modelJob) {
	if j.Status == job.Running {
		m.stale = append(m.stale, j.claim)
	}
	if j.held != nil {
		j.held.end()
		j.held = nil
	}
}

// requeue has a job wait again in the model, unless its end was asked for.
func (m *machine) requeue(j *modelJob) {
	if j.CancelRequested {
		m.end(j, job.Cancelled)
		return
	}
	m.letGo(j)
	j.Status = job.Queued
	j.story = append(j.story, "status:queued")
}

// interrupt is what becomes of an attempt whose server does not end it.
func (m *machine) interrupt(j *modelJob, limit int) {
	again := !j.Sync && j.Request.Retry != job.RetryNever && j.Interruptions < limit
	if j.CancelRequested {
		m.end(j, job.Cancelled)
		return
	}
	if j.Interruptions++; again {
		m.requeue(j)
		return
	}
	m.end(j, job.Failed)
}

func (m *machine) retry(r *rapid.T) {
	j := m.pick(r, func(j *modelJob) bool { return j.running() && !j.Sync })
	if err := m.st.Retry(m.tb.Context(), j.claim, job.Failure{Type: "x"}, time.Time{}); err != nil {
		r.Fatal(err)
	}
	if j.place = time.Now(); !j.CancelRequested {
		j.Attempt++
	}
	m.requeue(j)
}

func (m *machine) release(r *rapid.T) {
	j := m.pick(r, (*modelJob).running)
	if err := m.st.Release(m.tb.Context(), j.claim); err != nil {
		r.Fatal(err)
	}
	m.interrupt(j, 1<<30)
}

func (m *machine) cancel(r *rapid.T) {
	j := m.pick(r, func(*modelJob) bool { return true })
	got, err := m.st.Cancel(m.tb.Context(), j.ID)
	switch {
	case j.ended():
		if !errors.Is(err, store.ErrEnded) {
			r.Fatalf("cancelling what has ended: %v", err)
		}
		return
	case err != nil:
		r.Fatal(err)
	case j.running():
		j.CancelRequested = true
		receive(m.tb, "Cancelled closed", j.claim.Cancelled)
	default:
		m.end(j, job.Cancelled)
	}
	if got.Status != j.Status {
		r.Fatalf("answered as %s, want %s", got.Status, j.Status)
	}
}

// recover has all leases run out.
func (m *machine) recover(*rapid.T) { m.takeBack("m", time.Now().Add(time.Hour)) }

func (m *machine) crash(r *rapid.T) {
	if rapid.IntRange(0, 2).Draw(r, "not this time") > 0 {
		r.Skip("it takes long")
	}
	m.st.crash(m.tb, m.w)
	for _, j := range m.jobs {
		j.held = nil // its handle has returned
	}
	m.open(m.tb)
	m.takeBack("n", time.Now())
}

func (m *machine) takeBack(name string, now time.Time) {
	// First: a handle that returned would give its claim back.
	got := recovered(m.tb, m.st, name, now, modelLimit)
	var want []string
	for _, j := range m.jobs {
		if j.running() {
			m.interrupt(j, modelLimit)
			want = append(want, fmt.Sprintf("%s:%s:%d", j.ID, j.Status, j.Interruptions))
		}
	}
	slices.Sort(want)
	sameList(m.tb, "recovered", got, want)
}

// reportStale reports on a claim that is settled.
func (m *machine) reportStale(r *rapid.T) {
	if len(m.stale) == 0 {
		r.Skip("there is none")
	}
	c := rapid.SampledFrom(m.stale).Draw(r, "claim")
	report := rapid.SampledFrom([]func() error{
		func() error { return m.st.Finish(m.tb.Context(), c, job.Failed, outcome("")) },
		func() error { return m.st.Retry(m.tb.Context(), c, job.Failure{}, time.Time{}) },
		func() error { return m.st.Release(m.tb.Context(), c) },
		func() error { return m.st.Append(m.tb.Context(), c, []job.Event{text(2)}, 0) },
	}).Draw(r, "report")
	want := store.ErrNotFound
	for _, j := range m.jobs {
		if j.ID == c.Record.ID {
			if want = store.ErrLost; j.ended() {
				want = store.ErrEnded
			}
		}
	}
	if err := report(); !errors.Is(err, want) {
		r.Fatalf("a late report on %s: %v, want %v", c.Record.ID, err, want)
	}
}

func (m *machine) delete(r *rapid.T) {
	j := m.pick(r, func(*modelJob) bool { return true })
	if j.ended() {
		m.logs(j)
		m.remove(j)
		return
	}
	if err := m.st.Delete(m.tb.Context(), j.ID); job.KindOf(err) != job.KindInvalid {
		r.Fatalf("removing what has not ended: %v", err)
	}
}

func (m *machine) remove(j *modelJob) {
	if err := m.st.Delete(m.tb.Context(), j.ID); err != nil {
		m.tb.Fatalf("removing %s: %v", j.ID, err)
	}
	m.jobs = slices.DeleteFunc(m.jobs, func(other *modelJob) bool { return other == j })
}

func (m *machine) logs(j *modelJob) {
	if got, want := story(m.tb, m.st, j.ID), strings.Join(j.story, " "); got != want {
		m.tb.Fatalf("the log of %s is\n%s, want\n%s", j.ID, got, want)
	}
}

// compare compares all records.
func (m *machine) compare(r *rapid.T) {
	list, _, err := m.st.List(m.tb.Context(), store.Filter{Limit: len(m.jobs) + 1})
	if err != nil || len(list) != len(m.jobs) {
		r.Fatalf("there are %d records, want %d (%v)", len(list), len(m.jobs), err)
	}
	got := map[string]job.Record{}
	for _, rec := range list {
		got[rec.ID] = rec
	}
	queued, running := 0, 0
	for _, j := range m.jobs {
		g := got[j.ID]
		if g.Status != j.Status || g.Attempt != j.Attempt || g.Interruptions != j.Interruptions ||
			g.CancelRequested != j.CancelRequested || g.EndedAt.IsZero() == j.ended() {
			r.Fatalf("%s is\n%+v, want\n%+v", j.ID, g, j.Record)
		}
		if j.waiting() {
			queued++
		}
		if j.running() {
			running++
		}
	}
	if stats, err := m.st.Stats(m.tb.Context()); err != nil || stats.Queued != queued || stats.Running != running {
		r.Fatalf("the counts are %+v (%v), want %d queued and %d running", stats, err, queued, running)
	}
}
