package attempt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a log that fails as often as it is told to.
type memory struct {
	mu     sync.Mutex
	events []job.Event
	writes int
	fail   []error // of the next calls
}

func (m *memory) Append(_ context.Context, events []job.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.fail) > 0 {
		err := m.fail[0]
		m.fail = m.fail[1:]
		if err != nil {
			return err
		}
	}
	m.writes++
	m.events = append(m.events, events...)
	return nil
}

// text puts the output of a stream together again.
func text(t interface{ Fatalf(string, ...any) }, events []job.Event, kind job.EventType) string {
	var b strings.Builder
	for _, e := range events {
		if e.Type != kind {
			continue
		}
		var data struct {
			Text *string
			B64  *string
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || (data.Text == nil) == (data.B64 == nil) {
			t.Fatalf("event %s: %v", e.Data, err)
		}
		if data.Text != nil {
			b.WriteString(*data.Text)
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(*data.B64)
		if err != nil {
			t.Fatalf("event %s: %v", e.Data, err)
		}
		if utf8.Valid(raw) {
			t.Fatalf("%q is text and came as base64", raw)
		}
		b.Write(raw)
	}
	return b.String()
}

// pumping runs a script beside a pump that stores.
func pumping(t *testing.T, log *memory, script func(p *pump, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		p := newPump(log.Append, 3, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.run(ctx) }()
		script(p, func() { cancel(); <-done })
		cancel()
		<-done
	})
}

func TestOutputIsGathered(t *testing.T) {
	log := &memory{}
	pumping(t, log, func(p *pump, stop func()) {
		out, errOut := p.stdout(), p.stderr()
		for i := range 100 {
			fmt.Fprintf(out, "%d\n", i)
			fmt.Fprintf(errOut, "e%d\n", i)
		}
		<-time.After(gatherTime)
		synctest.Wait()
		if log.writes != 1 || len(log.events) != 200 || log.events[0].Attempt != 3 || log.events[0].At.IsZero() {
			t.Errorf("%d writes of %d events, the first %+v", log.writes, len(log.events), log.events[0])
		}
		if got := text(t, log.events, job.EventStderr); !strings.HasPrefix(got, "e0\ne1\n") {
			t.Errorf("stderr is %q", got)
		}
	})
}

// A store that is away for a while loses nothing and repeats nothing.
func TestStoreThatFails(t *testing.T) {
	away := job.Errorf(job.KindUnavailable, "away")
	log := &memory{fail: []error{away, away, nil, away}}
	pumping(t, log, func(p *pump, stop func()) {
		out := p.stdout()
		for i := range 5 {
			fmt.Fprintf(out, "%d", i)
			<-time.After(time.Second)
		}
		synctest.Wait()
		if got := text(t, log.events, job.EventStdout); got != "01234" {
			t.Errorf("stored %q", got)
		}
	})
}

// When the end comes, what could not be stored is left for the last
// transaction, in order.
func TestRest(t *testing.T) {
	log := &memory{fail: []error{job.Errorf(job.KindUnavailable, "away"), job.Errorf(job.KindUnavailable, "away")}}
	pumping(t, log, func(p *pump, stop func()) {
		out := p.stdout()
		fmt.Fprint(out, "one ")
		<-time.After(gatherTime + time.Millisecond)
		fmt.Fprint(out, "two \xe2\x82")
		stop()
		p.say(job.EventEnd, map[string]string{"status": "succeeded"})
		if got := text(t, p.rest(), job.EventStdout); got != "one two \xe2\x82" || len(log.events) > 0 {
			t.Errorf("left are %q, stored %v", got, log.events)
		}
	})
}

// A claim that was lost makes the pump useless, not stuck.
func TestLostClaim(t *testing.T) {
	log := &memory{fail: []error{errors.New("the claim is held by another server")}}
	pumping(t, log, func(p *pump, stop func()) {
		out := p.stdout()
		fmt.Fprint(out, "one")
		<-time.After(time.Second)
		for range 10 {
			fmt.Fprint(out, strings.Repeat("x", maxPending))
		}
		stop()
		if left := p.rest(); len(left) > 0 || len(log.events) > 0 {
			t.Errorf("left are %d, stored %d", len(left), len(log.events))
		}
	})
}

// A program that writes faster than the store takes has to wait.
func TestBackPressure(t *testing.T) {
	away := make([]error, 8)
	for i := range away {
		away[i] = job.Errorf(job.KindUnavailable, "away")
	}
	log := &memory{fail: away}
	pumping(t, log, func(p *pump, stop func()) {
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			out := p.stdout()
			for range 8 {
				fmt.Fprint(out, strings.Repeat("x", maxPending/2+1))
			}
		}()
		synctest.Wait()
		p.mu.Lock()
		held := p.bytes
		p.mu.Unlock()
		if held > 2*maxPending {
			t.Errorf("%d bytes are held", held)
		}
		<-wrote
		<-time.After(time.Second)
		synctest.Wait()
		if got := len(text(t, log.events, job.EventStdout)); got != 8*(maxPending/2+1) {
			t.Errorf("%d bytes were stored", got)
		}
	})
}

// However output is cut, the events put together are it, and no character that
// is whole is cut by them.
func TestOutputProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := []byte(rapid.StringOf(rapid.SampledFrom([]rune("aé€😀\n\x00"))).Draw(t, "text"))
		if rapid.Bool().Draw(t, "broken") {
			whole = append(whole, rapid.SliceOf(rapid.Byte()).Draw(t, "junk")...)
		}
		p := newPump(nil, 0, time.Now)
		out := p.stdout()
		for rest := whole; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if _, err := out.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		events := p.rest()
		if got := text(t, events, job.EventStdout); got != string(whole) {
			t.Fatalf("got %q, want %q", got, whole)
		}
		if utf8.Valid(whole) {
			for _, e := range events {
				if !strings.Contains(string(e.Data), `"text"`) {
					t.Fatalf("valid text came as %s", e.Data)
				}
			}
		}
	})
}
