package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// odd is text that is easily changed on its way.
const odd = "\x00\x01\x1f \t\r\n\x7f\u0085\u2028\u2029\ufeff\ufffd\ufffe\U0010ffff e\u0301 ä 漢 😀 \\u0000 \\ \" ' ` $1 ?1 % <&>"

// What users send and programs write comes back byte by byte.
func (s *suite) exact(t *testing.T) {
	st := s.open(t)
	plain := odd[1:] // names are without NUL, which PostgreSQL's text cannot keep
	long := strings.Repeat("0123456789abcdeä", 1<<12)
	inputs := []string{"{}", " \n{ \"a\" : 1.0 , \"a\":1e400,\"b\":-0, \"c\":123456789012345678901234567890.10}\t", `{"a":"\ud800\u0000\/"}`, `{"a":"` + strings.Repeat(long, 32) + `"}`}
	claims, _ := collect(t, st, "n", 1)
	for i, input := range inputs {
		r := record(fmt.Sprint("r", i))
		r.Owner, r.CorrelationID, r.JobType, r.JobRef, r.ParentID = plain, plain, plain, plain, plain
		r.IdempotencyKey, r.Fingerprint = plain+r.ID, plain
		stdin := odd + long
		r.Request.Input, r.Request.Code, r.Request.Stdin = []byte(input), odd+long, &stdin
		r.Request.Args, r.Request.Env = []string{odd, ""}, map[string]string{plain: odd, "EMPTY": ""}
		r.Request.Labels = map[string]string{plain: plain, "empty": ""}
		r.Request.RunAt = time.Unix(0, 1).UTC()
		if diff := diffOf(r.Request, submit(t, st, r)[0].Request); diff != "" {
			t.Errorf("the request is answered otherwise (-want +got):\n%s", diff)
		}
		h := receive(t, "a claim", claims)
		event := job.Event{Type: job.EventStdout, Data: []byte(input)}
		if err := st.Append(t.Context(), h.Claim, []job.Event{event}, 0); err != nil {
			t.Fatal(err)
		}
		out := outcome(odd + long)
		out.Stderr, out.Output, out.OutputNote = odd, []byte(input), odd
		out.Error = &job.Failure{Type: plain, Message: odd}
		if err := st.Finish(t.Context(), h.Claim, job.Failed, out); err != nil {
			t.Fatal(err)
		}
		h.end()
		got := get(t, st, r.ID)
		for what, diff := range map[string]string{
			"request": diffOf(r.Request, got.Request), "claim": diffOf(r.Request, h.Record.Request), "outcome": diffOf(out, got.Outcome),
			"event": diffOf(string(event.Data), string(log(t, st, r.ID)[1].Data)),
			"names": diffOf([]string{plain, plain, plain, plain, plain}, []string{got.Owner, got.CorrelationID, got.JobType, got.JobRef, got.ParentID}),
		} {
			if diff != "" {
				t.Errorf("the %s differs (-want +got):\n%.2000s", what, diff)
			}
		}
		list, _, err := st.List(t.Context(), store.Filter{Owner: &plain, JobType: plain, ParentID: plain, Labels: map[string]string{plain: plain}, Limit: 9})
		if err != nil || len(list) != i+1 {
			t.Errorf("%d are found by odd names, %v", len(list), err)
		}
	}
}

func (s *suite) stats(t *testing.T) {
	st := s.open(t)
	check := func(queued, running, letters int, oldest time.Time) {
		t.Helper()
		got, err := st.Stats(t.Context())
		if err != nil || got.Queued != queued || got.Running != running || got.DeadLetters != letters || got.SizeBytes <= 0 || !got.OldestQueued.Equal(oldest) {
			t.Errorf("%+v, %v; want %d queued, %d running, %d letters, oldest %v", got, err, queued, running, letters, oldest)
		}
	}
	check(0, 0, 0, time.Time{})
	later := record("later")
	later.Request.RunAt = time.Now().Add(time.Hour)
	submit(t, st, later)
	check(1, 0, 0, time.Time{}) // it is not ready
	claims, _ := collect(t, st, "n", 1)
	submit(t, st, record("a"))
	h := receive(t, "a claim", claims)
	past := record("past")
	past.Request.RunAt = time.Now().Add(-time.Hour)
	b := submit(t, st, past)[0]
	submit(t, st, record("c"))
	check(3, 1, 0, b.QueuedAt)
	if err := st.Retry(t.Context(), h.Claim, job.Failure{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	begin(t, st, record("sync"), node("n"))
	if err := st.AddDeadLetter(t.Context(), store.DeadLetter{JobID: "x"}); err != nil {
		t.Fatal(err)
	}
	check(4, 1, 1, b.QueuedAt)
	for _, id := range []string{"past", "c", "later"} {
		if _, err := st.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := st.Stats(t.Context()); err != nil || got.OldestQueued.Before(b.QueuedAt) {
		t.Errorf("of a retry that may run at once: %+v, %v", got, err)
	}
}

// A backup is of one moment, whatever is written meanwhile, and opens as a
// store that goes on from there.
func (s *suite) backup(t *testing.T) {
	st := s.open(t)
	path := filepath.Join(t.TempDir(), "copy ?#%41'\".db")
	if s.Backup == nil {
		if err := st.Backup(t.Context(), path); job.KindOf(err) != job.KindInvalid {
			t.Errorf("a backup: %v", err)
		}
		return
	}
	submit(t, st, full("first"))
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	wrote := make(chan struct{}, 1000)
	for w := range 2 {
		writing.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// All or none of these may be in the copy.
				if _, err := st.Submit(t.Context(), records(fmt.Sprintf("w%d-%d", w, i), 3), 0); err != nil {
					t.Error(err)
				}
				select {
				case wrote <- struct{}{}:
				default:
				}
			}
		})
	}
	receive(t, "something written", wrote)
	err := st.Backup(t.Context(), path)
	cancel()
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Backup(t.Context(), path); job.KindOf(err) != job.KindInvalid {
		t.Errorf("onto a file that is there: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "nowhere", "copy.db")
	if err := st.Backup(t.Context(), missing); err == nil {
		t.Error("a backup into no directory")
	}
	s.checkCopy(t, st, start(t, s.Backup(path), Options{}))
}

func (s *suite) checkCopy(t *testing.T, original, cp store.Store) {
	if diff := diffRecords(get(t, original, "first"), get(t, cp, "first")); diff != "" {
		t.Errorf("a record differs (-original +copy):\n%s", diff)
	}
	list, _, err := cp.List(t.Context(), store.Filter{Limit: 10_000})
	if err != nil || len(list)%3 != 1 || len(list) < 4 {
		t.Errorf("%d records are in the copy, %v", len(list), err)
	}
	n, err := cp.Stats(t.Context())
	if err != nil || n.Queued != len(list) {
		t.Errorf("the copy has %+v, %v", n, err)
	}
	claims, w := collect(t, cp, "n", 16)
	for range list {
		succeed(t, cp, receive(t, "a claim in the copy", claims))
	}
	w.stop()
}

// Calls on a closed store answer that it is not available, and none hangs.
func (s *suite) closed(t *testing.T) {
	st := s.open(t)
	c := begin(t, st, record("a"), node("n"))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	now := time.Now()
	for name, call := range map[string]func() error{
		"Ping":   func() error { return st.Ping(ctx) },
		"Stats":  func() error { return errOf(st.Stats(ctx)) },
		"Status": func() error { return errOf(st.Status(ctx, "a")) }, "Get": func() error { return errOf(st.Get(ctx, "a")) },
		"List":   func() error { _, _, err := st.List(ctx, store.Filter{Limit: 1}); return err },
		"Begin":  func() error { _, _, err := st.Begin(ctx, record("b"), node("n")); return err },
		"Delete": func() error { return st.Delete(ctx, "a") }, "DeleteBefore": func() error { return errOf(st.DeleteBefore(ctx, now, 1)) },
		"Blobs": func() error { return errOf(st.Blobs(ctx, []string{"x"})) }, "Submit": func() error { return errOf(st.Submit(ctx, records("r", 1), 1)) },
		"Renew": func() error { return st.Renew(ctx, "n", now) }, "Finish": func() error { return st.Finish(ctx, c, job.Failed, outcome("")) },
		"Retry": func() error { return st.Retry(ctx, c, job.Failure{}, now) }, "Release": func() error { return st.Release(ctx, c) },
		"Cancel": func() error { return errOf(st.Cancel(ctx, "a")) }, "Recover": func() error { return errOf(st.Recover(ctx, "n", now, 1)) },
		"Position": func() error { return errOf(st.Position(ctx, "a")) }, "Append": func() error { return st.Append(ctx, c, []job.Event{text(2)}, 0) },
		"Events":      func() error { return errOf(st.Events(ctx, "a", 0, 1)) },
		"SubmitBatch": func() error { return errOf(st.SubmitBatch(ctx, store.Batch{ID: "b"}, records("r", 1), 0)) },
		"Batch":       func() error { return errOf(st.Batch(ctx, "b")) }, "CancelBatch": func() error { return errOf(st.CancelBatch(ctx, "b")) },
		"CreateKey": func() error { return st.CreateKey(ctx, job.Key{ID: "k"}) }, "ListKeys": func() error { return errOf(st.ListKeys(ctx)) },
		"AddDeadLetter": func() error { return st.AddDeadLetter(ctx, store.DeadLetter{}) },
		"ClaimDelivery": func() error { return errOf(st.ClaimDelivery(ctx, now, 1)) }, "AddUpload": func() error { return st.AddUpload(ctx, store.Upload{}) },
	} {
		if err := call(); job.KindOf(err) != job.KindUnavailable || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	brief, stop := context.WithTimeout(ctx, 100*time.Millisecond)
	defer stop()
	_ = st.Work(brief, node("n"), newSlots(1), func(context.Context, store.Claim) { t.Error("a claim") })
	if err := st.Close(); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// All of a database survives closing and opening.
func (s *suite) reopen(t *testing.T) {
	db := s.New(t)
	first := start(t, db, Options{})
	endedWith(t, first, "me", "ended")
	submit(t, first, full("a"), record("b"))
	submitBatch(t, first, store.Batch{ID: "batch", IdempotencyKey: "k"}, 5, 3)
	at := time.Unix(1700000000, 0).UTC()
	if err := errors.Join(first.CreateKey(t.Context(), job.Key{ID: "k", Hash: []byte("h"), CreatedAt: at}),
		first.AddDeadLetter(t.Context(), store.DeadLetter{JobID: "x", CreatedAt: at}),
		first.AddUpload(t.Context(), store.Upload{ID: "u", SHA256: digest(9), CreatedAt: at})); err != nil {
		t.Fatal(err)
	}
	before := everything(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, db, Options{})
	if diff := cmp.Diff(before, everything(t, second)); diff != "" {
		t.Errorf("after opening again it is otherwise (-before +after):\n%s", diff)
	}
	claims, w := collect(t, second, "n", 2)
	for range 7 { // what was held outside the queue, too
		succeed(t, second, receive(t, "a claim", claims))
	}
	w.stop()
}

// everything is what a store answers about all that it has.
func everything(t testing.TB, st store.Store) []any {
	t.Helper()
	ctx := t.Context()
	records, _, err1 := st.List(ctx, store.Filter{Limit: 1000})
	deliveries, _, err2 := st.ListDeliveries(ctx, nil, "", 1000, 0)
	letters, _, err3 := st.DeadLetters(ctx, "", 1000, 0)
	keys, err4 := st.ListKeys(ctx)
	upload, err5 := st.Upload(ctx, "u")
	batch, err6 := st.Batch(ctx, "batch")
	stats, err7 := st.Stats(ctx)
	blobs, err8 := st.Blobs(ctx, []string{digest(1), digest(9), digest(10)})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8); err != nil {
		t.Fatal(err)
	}
	stats.SizeBytes = 0
	all := []any{records, deliveries, letters, keys, upload, batch, stats, blobs}
	for _, r := range records {
		n, err := st.Position(ctx, r.ID)
		if err != nil {
			t.Error(err)
		}
		all = append(all, n, log(t, st, r.ID))
	}
	return all
}

// Nothing is left running when a store is closed.
func (s *suite) leaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	st := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { _ = st.Follow(ctx, func(string) {}) })
	submit(t, st, record("a"))
	claims, w := collect(t, st, "n", 1)
	succeed(t, st, receive(t, "a claim", claims))
	w.stop()
	cancel()
	following.Wait()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}
