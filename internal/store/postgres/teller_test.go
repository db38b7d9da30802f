package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// heard is what a listener makes of payloads.
func heard(t *testing.T, list []string) (all sqlstore.Notice) {
	t.Helper()
	for _, text := range list {
		if len(text) >= 8000 {
			t.Errorf("a payload has %d bytes", len(text))
		}
		var m message
		if err := json.Unmarshal([]byte(text), &m); err != nil || m.From != "me" {
			t.Errorf("%s: %v", text, err)
		}
		all.Changed, all.Cancelled = append(all.Changed, m.Changed...), append(all.Cancelled, m.Cancelled...)
		all.Wake, all.Missed = all.Wake || m.Wake, all.Missed || m.Missed
	}
	return all
}

func TestPayloads(t *testing.T) {
	many := make([]string, 3000)
	for i := range many {
		many[i] = fmt.Sprintf("0198f0a2-7b1c-7d3e-9f55-%012d", i)
	}
	tests := map[string]struct {
		n    sqlstore.Notice
		want sqlstore.Notice
		in   int // payloads
	}{
		"nothing":       {sqlstore.Notice{}, sqlstore.Notice{}, 0},
		"a wake":        {sqlstore.Notice{Wake: true}, sqlstore.Notice{Wake: true}, 1},
		"missed":        {sqlstore.Notice{Missed: true}, sqlstore.Notice{Missed: true}, 1},
		"all":           {sqlstore.Notice{Changed: []string{"a"}, Cancelled: []string{"b"}, Wake: true, Missed: true}, sqlstore.Notice{Changed: []string{"a"}, Cancelled: []string{"b"}, Wake: true, Missed: true}, 1},
		"many":          {sqlstore.Notice{Changed: many, Cancelled: many[:1000]}, sqlstore.Notice{Changed: many, Cancelled: many[:1000]}, 20},
		"escaped":       {sqlstore.Notice{Changed: []string{strings.Repeat("\x01", 1200), strings.Repeat("<", 1200)}}, sqlstore.Notice{Changed: []string{strings.Repeat("\x01", 1200), strings.Repeat("<", 1200)}}, 2},
		"one too long":  {sqlstore.Notice{Changed: []string{"a", strings.Repeat("x", 8000), "b"}}, sqlstore.Notice{Changed: []string{"a", "b"}, Missed: true}, 1},
		"only too long": {sqlstore.Notice{Cancelled: []string{strings.Repeat("x", 8000)}}, sqlstore.Notice{Missed: true}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			list := payloads("me", tt.n)
			got := heard(t, list)
			if !slices.Equal(got.Changed, tt.want.Changed) || !slices.Equal(got.Cancelled, tt.want.Cancelled) ||
				got.Wake != tt.want.Wake || got.Missed != tt.want.Missed {
				t.Errorf("heard %+v", got)
			}
			if len(list) != tt.in {
				t.Errorf("%d payloads", len(list))
			}
		})
	}
}

// wait lets time pass in a bubble, and what is due happen.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A thousand transactions cost a few sendings, and nothing is lost.
func TestTellerGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		sendings := 0
		tell := startTeller(func(_ context.Context, p []string) error {
			<-time.After(time.Millisecond) // a round trip
			sent, sendings = append(sent, p...), sendings+1
			return nil
		}, "me", quiet())
		for i := range 1000 {
			tell.tell(sqlstore.Notice{Changed: []string{fmt.Sprint(i), "again"}, Wake: true})
			<-time.After(100 * time.Microsecond)
		}
		tell.stop()
		got := heard(t, sent)
		slices.Sort(got.Changed)
		if n := len(slices.Compact(got.Changed)); n != 1001 {
			t.Errorf("told of %d changes", n)
		}
		if sendings > 15 {
			t.Errorf("%d sendings in 100 ms", sendings)
		}
	})
}

// flaky is a database that goes away.
type flaky struct {
	mu    sync.Mutex
	away  bool
	tries int
	sent  []string
}

func (f *flaky) send(_ context.Context, payloads []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tries++; f.away {
		return errors.New("away")
	}
	f.sent = append(f.sent, payloads...)
	return nil
}

// set returns what was sent so far, in how many tries.
func (f *flaky) set(away bool) (sent []string, tries int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent, tries = f.sent, f.tries
	f.away, f.sent, f.tries = away, nil, 0
	return sent, tries
}

// What could not be sent is sent when the database is back; when it was too
// much, others are told that they missed something.
func TestTellerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{away: true}
		tell := startTeller(f.send, "me", quiet())
		tell.tell(sqlstore.Notice{Cancelled: []string{"c"}, Changed: []string{"a"}})
		wait(time.Minute)
		if _, tries := f.set(false); tries < 10 || tries > 60 {
			t.Errorf("%d tries in a minute", tries)
		}
		wait(3 * time.Second)
		sent, _ := f.set(true)
		if got := heard(t, sent); !slices.Equal(got.Changed, []string{"a"}) || !slices.Equal(got.Cancelled, []string{"c"}) || got.Missed {
			t.Errorf("after a short outage: %+v", got)
		}
		for i := range mostTold + 5 {
			tell.tell(sqlstore.Notice{Changed: []string{fmt.Sprint(i)}})
		}
		wait(time.Minute)
		f.set(false)
		tell.stop()
		sent, _ = f.set(false)
		if got := heard(t, sent); len(got.Changed) > 10 || !got.Missed {
			t.Errorf("after a long outage: %d changes, missed is %v", len(got.Changed), got.Missed)
		}
	})
}
