package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func diffRecords(a, b job.Record) string { return diffOf(a, b) }

// diffOf is cmp.Diff that takes users' JSON as a whole.
func diffOf(a, b any) string {
	return cmp.Diff(a, b, cmp.Comparer(func(a, b json.RawMessage) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }))
}

// Finish stores all of an outcome, under every end there is.
func (s *suite) finish(t *testing.T) {
	st := s.open(t)
	claims, _ := collect(t, st, "n", 1)
	for _, status := range []job.Status{job.Succeeded, job.Failed, job.Timeout, job.OOM, job.Cancelled} {
		id := string(status)
		submit(t, st, record(id))
		h := receive(t, "a claim", claims)
		for _, bad := range []job.Status{job.Queued, job.Running, "", "odd"} {
			if err := st.Finish(t.Context(), h.Claim, bad, outcome("")); job.KindOf(err) != job.KindInvalid {
				t.Errorf("%q as an end: %v", bad, err)
			}
		}
		out := fullOutcome()
		more := []job.Event{{Attempt: -1, Type: job.EventStdout, Data: []byte(`{"text":"bye"}`)}, {Type: "mine", Data: []byte(`{}`)}}
		if err := st.Finish(t.Context(), h.Claim, status, out, more[:1]...); err != nil {
			t.Fatal(err)
		}
		h.end()
		r := get(t, st, id)
		if diff := cmp.Diff(out, r.Outcome); diff != "" {
			t.Errorf("the outcome differs (-want +got):\n%s", diff)
		}
		if r.Status != status || r.EndedAt.Before(r.StartedAt) || len(r.Attempts) != 1 || r.Attempts[0].Status != status {
			t.Errorf("ended as %+v", r)
		}
		if got, want := story(t, st, id), `status:running stdout:{"text":"bye"} end:`+id; got != want {
			t.Errorf("the log is %s, want %s", got, want)
		}
		if more[1].Type != "mine" {
			t.Error("the caller's events were written to")
		}
	}
}

// fullOutcome has every field.
func fullOutcome() job.Outcome {
	out := outcome("out\x00\u2028<&>")
	out.Stderr, out.StdoutTruncated, out.StderrTruncated, out.OutputNote = "err", true, true, "note"
	out.Error = &job.Failure{Type: "t", Message: "m", Phase: job.PhaseExecution}
	out.EndedBy = job.EndedBy{Actor: job.ActorLimit, Limit: "memory", Signal: "SIGKILL", Detail: "d"}
	out.Timing.Startup, out.Timing.Execution = time.Nanosecond, 3*time.Hour+1
	out.Usage = job.Usage{MaxRSS: 1 << 60, CPUTime: 1<<62 + 1, Wall: time.Minute}
	out.Artifacts = []job.Artifact{{Name: "d/<f>", SizeBytes: 1 << 40, SHA256: digest(7), ContentType: "text/plain"}}
	out.Skipped = []string{"x"}
	out.Environment = job.EnvironmentRef{Name: "e", Version: "v", Digest: "d"}
	out.Sandbox = job.SandboxRef{Supply: job.SupplyPool, Engine: "g", EngineVersion: "1", Unenforced: []string{"u"}}
	return out
}

// Of many ends one counts.
func (s *suite) finishOnce(t *testing.T) {
	st := s.open(t)
	r := record("a")
	r.Request.WebhookURL = "https://example.com"
	h := runOne(t, st, r)
	var wg sync.WaitGroup
	ended := make(chan string, 20)
	for i := range 20 {
		wg.Go(func() {
			out := outcome(fmt.Sprint(i))
			status := []job.Status{job.Succeeded, job.Failed, job.OOM}[i%3]
			switch err := st.Finish(t.Context(), h.Claim, status, out); {
			case err == nil:
				ended <- out.Stdout
			case !errors.Is(err, store.ErrEnded):
				t.Errorf("a later end: %v", err)
			}
		})
	}
	wg.Wait()
	h.end()
	winner := receive(t, "an end", ended)
	if len(ended) > 0 {
		t.Error("it ended more than once")
	}
	got := get(t, st, "a")
	if got.Outcome.Stdout != winner || len(log(t, st, "a")) != 2 {
		t.Errorf("%s ended it, but it has the outcome of %s and the log %s", winner, got.Outcome.Stdout, story(t, st, "a"))
	}
	if list, _, err := st.ListDeliveries(t.Context(), nil, "a", 9, 0); err != nil || len(list) != 1 {
		t.Errorf("%d deliveries, %v", len(list), err)
	}
}

func (s *suite) retry(t *testing.T) {
	st := s.open(t)
	submit(t, st, full("a"))
	claims, _ := collect(t, st, "n", 1)
	h := receive(t, "the first attempt", claims)
	failure := job.Failure{Type: "engine", Message: "died", Phase: job.PhaseStartup}
	at := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	if err := st.Retry(t.Context(), h.Claim, failure, at); err != nil {
		t.Fatal(err)
	}
	h.end()
	waiting := get(t, st, "a")
	if waiting.Status != job.Queued || waiting.Attempt != 1 || waiting.Interruptions != 0 {
		t.Errorf("it waits as %+v", waiting)
	}
	want := job.AttemptRecord{StartedAt: h.Record.StartedAt, EndedAt: waiting.Attempts[0].EndedAt, Status: job.Queued, Error: &failure, Host: "n"}
	if diff := cmp.Diff([]job.AttemptRecord{want}, waiting.Attempts); diff != "" {
		t.Errorf("the attempts differ (-want +got):\n%s", diff)
	}
	again := receive(t, "the second attempt", claims)
	if time.Now().Before(at) {
		t.Errorf("it was tried again %v too early", time.Until(at))
	}
	if again.Record.Attempt != 1 || cmp.Diff(again.Record.Request, h.Record.Request) != "" {
		t.Errorf("it is tried again as %+v", again.Record)
	}
	succeed(t, st, again)
	if r := get(t, st, "a"); len(r.Attempts) != 2 || r.Attempts[1].N != 1 {
		t.Errorf("the attempts are %+v", r.Attempts)
	}
}

func (s *suite) release(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	claims, _ := collect(t, st, "n", 1)
	h := receive(t, "the first claim", claims)
	if err := st.Release(t.Context(), h.Claim); err != nil {
		t.Fatal(err)
	}
	h.end()
	again := receive(t, "the second claim", claims)
	if r := again.Record; r.Attempt != 0 || r.Interruptions != 1 || r.Attempts[0].Error.Type != "interrupted" {
		t.Errorf("it runs again as %+v", r)
	}
	succeed(t, st, again)
	if got, want := story(t, st, "a"), "status:running status:queued status:running end:succeeded"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
}

// A record that was given back has the place it had: that of its submission, of
// its RunAt, or of its retry.
func (s *suite) releasePlace(t *testing.T) {
	st := s.open(t)
	claims, _ := collect(t, st, "n", 4)
	timed := record("timed")
	timed.Request.RunAt = time.Now().Add(400 * time.Millisecond)
	again := timed.Request.RunAt.Add(200 * time.Millisecond)
	submit(t, st, timed, record("retried"))
	h := receive(t, "retried", claims)
	if err := st.Retry(t.Context(), h.Claim, job.Failure{}, again); err != nil {
		t.Fatal(err)
	}
	h.end()
	first := submit(t, st, record("first"))[0]
	all := map[string]held{}
	for range 3 {
		h := receive(t, "a claim", claims)
		all[h.Record.ID] = h
	}
	last := submit(t, st, record("last"))[0]
	all["last"] = receive(t, "the last", claims)
	for _, id := range []string{"timed", "first", "last", "retried"} {
		if err := st.Release(t.Context(), all[id].Claim); err != nil {
			t.Fatal(err)
		}
	}
	// The handles have not returned, so nothing is taken.
	places := map[string]time.Time{"first": first.QueuedAt, "timed": timed.Request.RunAt, "retried": again, "last": last.QueuedAt}
	want := slices.SortedFunc(maps.Keys(places), func(a, b string) int { return places[a].Compare(places[b]) })
	for i, id := range want {
		if n, err := st.Position(t.Context(), id); err != nil || n != i+1 {
			t.Errorf("the place of %s is %d (%v), want %d", id, n, err, i+1)
		}
	}
}

// Reports on claims that are no longer, or never were, change nothing.
func (s *suite) reports(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("lost"), record("ended"))
	claims, _ := collect(t, st, "n", 2)
	hs := []held{receive(t, "a claim", claims), receive(t, "a claim", claims)}
	slices.SortFunc(hs, func(a, b held) int { return len(a.Record.ID) - len(b.Record.ID) })
	lost, ended := hs[0], hs[1]
	if err := st.Release(t.Context(), lost.Claim); err != nil {
		t.Fatal(err)
	}
	lost.end()
	again := receive(t, "another claim", claims)
	succeed(t, st, ended)
	foreign, unknown := again.Claim, again.Claim
	foreign.Node, unknown.Record.ID = "m", "nobody"
	before := []job.Record{get(t, st, "lost"), get(t, st, "ended")}
	stories := story(t, st, "lost") + story(t, st, "ended")
	for name, report := range map[string]func(context.Context, store.Claim) error{
		"Finish":  func(ctx context.Context, c store.Claim) error { return st.Finish(ctx, c, job.Failed, outcome("")) },
		"Retry":   func(ctx context.Context, c store.Claim) error { return st.Retry(ctx, c, job.Failure{}, time.Time{}) },
		"Release": st.Release,
		"Append": func(ctx context.Context, c store.Claim) error {
			return st.Append(ctx, c, []job.Event{{Type: job.EventStdout, Data: []byte(`{}`)}}, 0)
		},
	} {
		for want, c := range map[error]store.Claim{store.ErrLost: lost.Claim, store.ErrEnded: ended.Claim, store.ErrNotFound: unknown} {
			if err := report(t.Context(), c); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		if err := report(t.Context(), foreign); !errors.Is(err, store.ErrLost) {
			t.Errorf("%s of another node: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, []job.Record{get(t, st, "lost"), get(t, st, "ended")}); diff != "" {
		t.Errorf("the records changed:\n%s", diff)
	}
	if now := story(t, st, "lost") + story(t, st, "ended"); now != stories {
		t.Errorf("the logs changed to %s", now)
	}
	succeed(t, st, again)
}
