package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// text is an event of n bytes, at least 2.
func text(n int) job.Event {
	data := make([]byte, n)
	for i := range data {
		data[i] = ' '
	}
	data[0], data[n-1] = '{', '}'
	return job.Event{Attempt: -1, Type: job.EventStdout, Data: data}
}

func (s *suite) events(t *testing.T) {
	st := s.open(t)
	h := runOne(t, st, record("a"))
	at := time.Unix(1700000000, 123456789).UTC()
	sent := []job.Event{
		{Seq: 99, Attempt: 7, At: at, Type: job.EventStdout, Data: []byte("{ \"text\": \"\\u0000<&>\u2028\" }")},
		{Attempt: -1, Type: job.EventArtifact, Data: []byte(`{"n":1e400}`)},
		{Type: job.EventStatus, Data: []byte(`{"status":"building"}`)},
	}
	before := time.Now()
	for _, e := range sent {
		if err := st.Append(t.Context(), h.Claim, []job.Event{e}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Append(t.Context(), h.Claim, nil, 0); err != nil {
		t.Errorf("nothing: %v", err)
	}
	if err := st.Append(t.Context(), h.Claim, []job.Event{text(2), {Type: job.EventEnd}}, 0); job.KindOf(err) != job.KindInvalid {
		t.Errorf("an end that is none: %v", err)
	}
	if err := st.Finish(t.Context(), h.Claim, job.Failed, outcome(""), job.Event{Type: job.EventEnd}); job.KindOf(err) != job.KindInvalid {
		t.Errorf("an end before the end: %v", err)
	}
	succeed(t, st, h)
	got := log(t, st, "a")
	if len(got) != 5 || got[4].Type != job.EventEnd {
		t.Fatalf("the log is %s", story(t, st, "a"))
	}
	for i, e := range sent {
		if g := got[i+1]; g.Type != e.Type || string(g.Data) != string(e.Data) || (e.Attempt >= 0 && g.Attempt != e.Attempt) {
			t.Errorf("event %+v is kept as %+v", e, g)
		}
	}
	if got[2].Attempt != 0 || !got[1].At.Equal(at) || got[2].At.Before(before) || got[2].At.Location() != time.UTC {
		t.Errorf("what was left to the store is %+v and %+v", got[1], got[2])
	}
	s.eventPages(t, st, got)
}

func (s *suite) eventPages(t *testing.T, st store.Store, all []job.Event) {
	for after := range len(all) + 2 {
		for limit := 1; limit < 4; limit++ {
			page, err := st.Events(t.Context(), "a", int64(after), limit)
			want := min(limit, max(len(all)-after, 0))
			if err != nil || len(page) != want || (want > 0 && page[0].Seq != int64(after+1)) {
				t.Errorf("%d after %d: %+v, %v", limit, after, page, err)
			}
		}
	}
	if _, err := st.Events(t.Context(), "a", 0, 0); job.KindOf(err) != job.KindInvalid {
		t.Errorf("without a limit: %v", err)
	}
	if _, err := st.Events(t.Context(), "nobody", 0, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a job that is not there: %v", err)
	}
}

// The log goes on over attempts, and says which an event is of.
func (s *suite) eventsAttempts(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	claims, _ := collect(t, st, "n", 1)
	for range 3 {
		h := receive(t, "a claim", claims)
		if err := st.Append(t.Context(), h.Claim, []job.Event{text(3)}, 0); err != nil {
			t.Fatal(err)
		}
		if h.Record.Attempt == 2 {
			succeed(t, st, h)
			break
		}
		if err := st.Retry(t.Context(), h.Claim, job.Failure{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		h.end()
	}
	turn := "status:running stdout:{ } "
	if got, want := story(t, st, "a"), turn+"status:queued "+turn+"status:queued "+turn+"end:succeeded"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	var last int
	for _, e := range log(t, st, "a") {
		if e.Attempt < last || (e.Type == job.EventStdout && e.Attempt != int(e.Seq)/3) {
			t.Errorf("event %d is of attempt %d", e.Seq, e.Attempt)
		}
		last = e.Attempt
	}
}

// Writers that append at once leave no gap and lose nothing, and each one's
// events are in its order.
func (s *suite) eventsAtOnce(t *testing.T) {
	st := s.open(t)
	h := runOne(t, st, record("a"))
	var wg sync.WaitGroup
	const writers, rounds, each = 8, 5, 60 // more than one statement takes
	for w := range writers {
		wg.Go(func() {
			for round := range rounds {
				events := make([]job.Event, each)
				for i := range events {
					events[i] = job.Event{Type: job.EventStdout, Data: fmt.Appendf(nil, `{"w":%d,"n":%d}`, w, round*each+i)}
				}
				if err := st.Append(t.Context(), h.Claim, events, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	succeed(t, st, h)
	var next [writers]int
	for _, e := range log(t, st, "a") {
		var d struct{ W, N int }
		if e.Type != job.EventStdout {
			continue
		}
		if err := json.Unmarshal(e.Data, &d); err != nil || d.N != next[d.W] {
			t.Fatalf("event %s, where writer %d's number %d was next (%v)", e.Data, d.W, next[d.W], err)
		}
		next[d.W]++
	}
	for w, n := range next {
		if n != rounds*each {
			t.Errorf("of writer %d there are %d events", w, n)
		}
	}
}

// Beyond its bound a log gets one word of it, and then nothing but statuses and
// the end, in later attempts, too.
func (s *suite) eventsTruncated(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	claims, _ := collect(t, st, "n", 1)
	h := receive(t, "a claim", claims)
	status := job.Event{Type: job.EventStatus, Data: []byte(`{"status":"x"}`)}
	add := func(events ...job.Event) {
		t.Helper()
		if err := st.Append(t.Context(), h.Claim, events, 10); err != nil {
			t.Error(err)
		}
	}
	add(text(6), status, text(4))
	add(text(2), status, text(2))
	add(text(2))
	if err := st.Retry(t.Context(), h.Claim, job.Failure{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	h.end()
	h = receive(t, "the second claim", claims)
	add(text(2), status)
	if err := st.Finish(t.Context(), h.Claim, job.Failed, outcome(""), text(2), status); err != nil {
		t.Fatal(err)
	}
	h.end()
	want := "status:running stdout:{    } status:x stdout:{  } truncated:{} status:x status:queued status:running status:x status:x end:failed"
	if got := story(t, st, "a"); got != want {
		t.Errorf("the log is\n%s, want\n%s", got, want)
	}
}

// Follow tells of every change that is committed after its first call.
func (s *suite) follow(t *testing.T) {
	st := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes, ended := make(chan string, 1000), make(chan error, 1)
	go func() { ended <- st.Follow(ctx, func(id string) { changes <- id }) }()
	if first := receive(t, "the first call", changes); first != "" {
		t.Errorf("first it tells of %q", first)
	}
	told := func(id string) {
		t.Helper()
		for got := range changes {
			if got == id {
				return
			}
			t.Errorf("told of %q, want %q", got, id)
		}
	}
	quiet := func() { // ids may be repeated
		for len(changes) > 0 {
			<-changes
		}
	}
	submit(t, st, record("a"))
	told("a")
	claims, _ := collect(t, st, "n", 1)
	h := receive(t, "a claim", claims)
	told("a")
	for what, change := range map[string]func() error{
		"append": func() error { return st.Append(t.Context(), h.Claim, []job.Event{text(2)}, 0) },
		"cancel": func() error { _, err := st.Cancel(t.Context(), "a"); return err },
	} {
		quiet()
		if err := change(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		told("a")
	}
	quiet()
	if err := st.Finish(t.Context(), h.Claim, job.Failed, outcome("")); err != nil {
		t.Error(err)
	}
	told("a")
	h.end()
	quiet()
	c := begin(t, st, record("sync"), node("n"))
	told("sync")
	sameList(t, "recovered", recovered(t, st, "m", time.Now().Add(time.Hour), 3), []string{"sync:failed:1"})
	told(c.Record.ID)
	cancel()
	if err := receive(t, "the end of Follow", ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("follow: %v", err)
	}
}

// A follower that is slow holds nobody up, and learns what it missed.
func (s *suite) followSlow(t *testing.T) {
	st := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entered, goOn := make(chan struct{}), make(chan struct{})
	const n = 300
	var wg sync.WaitGroup
	seen, missed := map[string]bool{}, false
	wg.Go(func() {
		first := true
		_ = st.Follow(ctx, func(id string) {
			if first {
				first = false
				close(entered)
				<-goOn
				return
			}
			missed = missed || id == ""
			seen[id] = true
			if id == "last" {
				cancel()
			}
		})
	})
	receive(t, "the first call", entered)
	submit(t, st, records("r", n)...)
	close(goOn)
	submit(t, st, record("last"))
	wg.Wait()
	if !missed && len(seen) != n+1 {
		t.Errorf("it was told of %d changes, and not that it missed some", len(seen))
	}
}
