package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// A handle that never reports does not have its record run for ever: it fails,
// and a letter is kept of it.
func (s *suite) workAbandonedForGood(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	runs := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	n := store.Node{Name: "n", Lease: time.Minute, MaxInterruptions: 1}
	go func() {
		ended <- st.Work(ctx, n, newSlots(1), func(context.Context, store.Claim) { runs <- struct{}{} })
	}()
	r := await(t, st, "a", "failed", func(r job.Record) bool { return r.Status.Terminal() })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if r.Status != job.Failed || r.Outcome.Error.Type != "interrupted" || len(runs) != 2 || len(r.Attempts) != 2 {
		t.Errorf("after %d runs it is %+v", len(runs), r)
	}
	wantLetter(t, st, "a", "interrupted")
}

// wantLetter wants one letter of a record, without its code and input.
func wantLetter(t testing.TB, st store.Store, id, kind string) {
	t.Helper()
	list, more, err := st.DeadLetters(t.Context(), kind, 10, 0)
	if err != nil || more || len(list) != 1 || list[0].JobID != id {
		t.Errorf("letters of %s: %+v, %v", kind, list, err)
	}
}

// A sync record is tried again under the same lease; each attempt is told.
func (s *suite) nextAttempt(t *testing.T) {
	st := s.open(t)
	first := begin(t, st, record("sync"), node("n"))
	next, err := st.NextAttempt(t.Context(), first, job.Failure{Type: "service_unavailable", Message: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Finish(t.Context(), first, job.Succeeded, outcome("")); !errors.Is(err, store.ErrLost) {
		t.Errorf("the claim of the first attempt still ends it: %v", err)
	}
	// What that answered was about a claim which is no more.
	if _, err := st.NextAttempt(t.Context(), first, job.Failure{Type: "x"}); !errors.Is(err, store.ErrLost) {
		t.Errorf("it begins one, too: %v", err)
	}
	if err := st.Finish(t.Context(), next, job.Succeeded, outcome("")); err != nil {
		t.Fatal(err)
	}
	r := get(t, st, "sync")
	if r.Status != job.Succeeded || r.Attempt != 1 || len(r.Attempts) != 2 || r.Attempts[0].Error == nil || r.Attempts[0].Error.Message != "gone" {
		t.Errorf("it is %+v", r)
	}
	if got, want := story(t, st, "sync"), "status:running status:running end:succeeded"; got != want {
		t.Errorf("its story is %s, want %s", got, want)
	}
	c := begin(t, st, record("cancelled"), node("n"))
	if _, err := st.Cancel(t.Context(), "cancelled"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.NextAttempt(t.Context(), c, job.Failure{Type: "x"}); !errors.Is(err, store.ErrEnded) {
		t.Errorf("one whose end was asked for: %v", err)
	}
	if err := st.Finish(t.Context(), c, job.Cancelled, outcome("")); err != nil {
		t.Error(err)
	}
}

// What is given up has its letter in the transaction that ends it, or neither.
func (s *suite) giveUp(t *testing.T) {
	st := s.open(t)
	h := runOne(t, st, record("a"))
	if err := st.GiveUp(t.Context(), h.Claim, job.Failed, outcome("")); job.KindOf(err) != job.KindInvalid {
		t.Errorf("without an error: %v", err)
	}
	out := outcome("")
	out.Error = &job.Failure{Type: "service_unavailable", Message: "gone"}
	if err := st.GiveUp(t.Context(), h.Claim, job.Failed, out); err != nil {
		t.Fatal(err)
	}
	if err := st.GiveUp(t.Context(), h.Claim, job.Failed, out); !errors.Is(err, store.ErrEnded) {
		t.Errorf("twice: %v", err)
	}
	h.end()
	wantLetter(t, st, "a", "service_unavailable")
}

// A key leads to its owner's record.
func (s *suite) byKey(t *testing.T) {
	st := s.open(t)
	submit(t, st, keyed("a", "me", "k", "f"))
	if r, err := st.ByKey(t.Context(), "me", "k"); err != nil || r.ID != "a" || r.Request.Code == "" {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, k := range [][2]string{{"you", "k"}, {"me", "other"}, {"me", ""}} {
		if _, err := st.ByKey(t.Context(), k[0], k[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v", k, err)
		}
	}
}

// What is said again, because nobody could tell whether it was stored, is in
// the log once; so is what the end repeats.
func (s *suite) said(t *testing.T) {
	st := s.open(t)
	h := runOne(t, st, record("a"))
	one, two, three := text(1), text(1), text(1)
	one.Said, two.Said, three.Said = 1, 2, 3
	for _, events := range [][]job.Event{{one}, {one, two}, {two}} {
		if err := st.Append(t.Context(), h.Claim, events, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Finish(t.Context(), h.Claim, job.Succeeded, outcome(""), two, three); err != nil {
		t.Fatal(err)
	}
	h.end()
	n := 0
	for _, e := range log(t, st, "a") {
		if e.Type == job.EventStdout {
			n++
		}
	}
	if n != 3 {
		t.Errorf("three were said and %d are in the log: %s", n, story(t, st, "a"))
	}
}

// What was cancelled after it was seen to wait and before it was claimed is no
// reason to stop working.
func (s *suite) workGone(t *testing.T) {
	var st store.Store
	var once sync.Once
	st = start(t, s.New(t), Options{Fault: func(point string) error {
		if point == "claim.begin" {
			once.Do(func() {
				if _, err := st.Cancel(t.Context(), "a"); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}})
	submit(t, st, record("a"))
	claims, _ := collect(t, st, "n", 1)
	await(t, st, "a", "cancelled", func(r job.Record) bool { return r.Status == job.Cancelled })
	submit(t, st, record("b"))
	if h := receive(t, "the next claim", claims); h.Record.ID != "b" {
		t.Errorf("claimed %s", h.Record.ID)
	} else {
		succeed(t, st, h)
	}
}
