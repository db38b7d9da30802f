package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// story is the log of a job from its start to its end.
func story() []job.Event {
	return []job.Event{
		event(1, job.EventStatus, map[string]string{"status": "running"}),
		event(2, job.EventStdout, map[string]string{"text": "a line\nand another\r\n\r\ndata: not of this protocol\n"}),
		event(3, job.EventStderr, map[string]string{"b64": "/w=="}),
		event(4, job.EventStdout, map[string]string{"text": "ünï😀\u2028\u0085 end"}),
		event(5, job.EventArtifact, map[string]any{"name": "a.txt", "size_bytes": 12}),
		{Seq: 6, At: epoch(), Type: job.EventTruncated, Attempt: 2},
		event(7, job.EventEnd, map[string]string{"status": "succeeded"}),
	}
}

// telling is a rig with a job that has that log.
func telling(t *testing.T, log []job.Event, change ...func(*Options)) *rig {
	g := newRig(t, change...)
	g.service.put(ended("job"))
	g.service.logs["job"] = log
	return g
}

func (g *rig) stream(query string, headers ...string) string {
	g.tb.Helper()
	w := g.expect(http.StatusOK, "GET", "/jobs/job/events"+query, "", headers...)
	for name, want := range map[string]string{"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Length": ""} {
		if got := w.Header().Get(name); got != want {
			g.tb.Errorf("%s is %q", name, got)
		}
	}
	return w.Body.String()
}

func TestEventFormat(t *testing.T) {
	got := telling(t, story()).stream("")
	want := []string{
		"id: 1\nevent: status\ndata: {\"ts\":\"2026-08-12T10:30:00.123456001Z\",\"attempt\":0,\"status\":\"running\"}",
		"id: 2\nevent: stdout\ndata: {\"ts\":\"2026-08-12T10:30:00.123456002Z\",\"attempt\":0,\"text\":\"a line\\nand another\\r\\n\\r\\ndata: not of this protocol\\n\"}",
		"id: 3\nevent: stderr\ndata: {\"ts\":\"2026-08-12T10:30:00.123456003Z\",\"attempt\":0,\"b64\":\"/w==\"}",
		"id: 4\nevent: stdout\ndata: {\"ts\":\"2026-08-12T10:30:00.123456004Z\",\"attempt\":0,\"text\":\"ünï😀\\u2028\u0085 end\"}",
		"id: 5\nevent: artifact\ndata: {\"ts\":\"2026-08-12T10:30:00.123456005Z\",\"attempt\":0,\"name\":\"a.txt\",\"size_bytes\":12}",
		"id: 6\nevent: truncated\ndata: {\"ts\":\"2026-08-12T10:30:00.123456000Z\",\"attempt\":2}",
		"id: 7\nevent: end\ndata: {\"ts\":\"2026-08-12T10:30:00.123456007Z\",\"attempt\":0,\"status\":\"succeeded\"}",
	}
	if got != strings.Join(want, "\n\n")+"\n\n" {
		t.Errorf("%s", got)
	}
	for _, e := range strings.Split(strings.TrimSuffix(got, "\n\n"), "\n\n") {
		data := e[strings.Index(e, "\ndata: ")+7:]
		if !json.Valid([]byte(data)) || strings.ContainsAny(data, "\r\n") {
			t.Errorf("the data is %s", data)
		}
	}
}

// Whatever fields an event has, however they were written.
func TestEventData(t *testing.T) {
	for data, want := range map[string]string{
		``:                       `}`,
		`null`:                   `}`,
		`{}`:                     `}`,
		`{ }`:                    `}`,
		` {"a": 1 } `:            `,"a":1}`,
		"{\n\"a\":\r\n\"b\\n\"}": `,"a":"b\n"}`,
	} {
		got := telling(t, []job.Event{{Seq: 1, At: epoch(), Type: job.EventEnd, Data: json.RawMessage(data)}}).stream("")
		if full := "id: 1\nevent: end\ndata: {\"ts\":\"2026-08-12T10:30:00.123456000Z\",\"attempt\":0" + want + "\n\n"; got != full {
			t.Errorf("%q:\n got %q\nwant %q", data, got, full)
		}
	}
}

// A reader that was cut off after any byte goes on after its last whole event,
// and has then read what one has that was never cut off.
func TestResume(t *testing.T) {
	g := telling(t, story())
	whole := g.stream("?follow=false")
	for at := range len(whole) + 1 {
		complete := whole[:strings.LastIndex("\n\n"+whole[:at], "\n\n")]
		last := "0"
		if i := strings.LastIndex(complete, "id: "); i >= 0 {
			last, _, _ = strings.Cut(complete[i+4:], "\n")
		}
		if got := complete + g.stream("?follow=false&after="+last); got != whole {
			t.Fatalf("cut at %d, resumed after %s: %q", at, last, got)
		}
		if got := complete + g.stream("?after=99", "Last-Event-ID: "+last); got != whole {
			t.Fatalf("cut at %d, resumed by header after %s: %q", at, last, got)
		}
	}
	for _, after := range []string{"7", "8", "999999999999999999"} {
		if got := g.stream("?after=" + after); got != "" {
			t.Errorf("after %s: %q", after, got)
		}
	}
}

// lines reads a stream line by line, its own goroutine being the server's.
type lines struct {
	http.ResponseWriter
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) Flush() {}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := telling(t, story()[:1], func(o *Options) { o.KeepAlive = 10 * time.Second })
		more := make(chan job.Event)
		g.service.live = func(_ context.Context, yield func(job.Event, error) bool) {
			for e := range more {
				yield(e, nil)
			}
		}
		out := &lines{ResponseWriter: httptest.NewRecorder()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.ServeHTTP(out, request("GET", "/jobs/job/events", nil))
		}()
		comments := func(after time.Duration, want int) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			if n := strings.Count(out.String(), ": still here\n\n"); n != want {
				t.Errorf("%d comments, want %d", n, want)
			}
		}
		comments(9*time.Second, 0)
		comments(2*time.Second, 1)
		comments(10*time.Second, 2)
		comments(8*time.Second, 2)
		more <- story()[1] // is not silence
		comments(9*time.Second, 2)
		comments(2*time.Second, 3)
		close(more)
		<-done
		if got := strings.ReplaceAll(out.String(), ": still here\n\n", ""); !strings.HasPrefix(got, "id: 1\n") || strings.Count(got, "\n\n") != 2 {
			t.Errorf("%q", got)
		}
	})
}

// serve serves a rig over TCP.
func (g *rig) serve() *httptest.Server {
	s := httptest.NewServer(g)
	g.tb.Cleanup(s.Close)
	return s
}

// open begins a request over TCP. Its end is the end of ctx.
func open(t *testing.T, ctx context.Context, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Body.Close() })
	return w
}

// Events reach a reader when they happen, not when the answer ends.
func TestEventsAsTheyHappen(t *testing.T) {
	g := telling(t, story()[:1])
	more := make(chan job.Event)
	g.service.live = func(_ context.Context, yield func(job.Event, error) bool) {
		for e := range more {
			if !yield(e, nil) || e.Type == job.EventEnd {
				return
			}
		}
	}
	w := open(t, t.Context(), g.serve().URL+"/jobs/job/events")
	in := bufio.NewReader(w.Body)
	for i, e := range story() {
		if i > 0 {
			more <- e
		}
		for want := range 4 {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if want == 0 && line != fmt.Sprintf("id: %d\n", e.Seq) {
				t.Errorf("%q, want event %d", line, e.Seq)
			}
		}
	}
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestReaderIsGone(t *testing.T) {
	g := telling(t, story()[:1])
	left := make(chan error, 1)
	g.service.live = func(ctx context.Context, _ func(job.Event, error) bool) {
		<-ctx.Done()
		left <- ctx.Err()
	}
	ctx, leave := context.WithCancel(t.Context())
	w := open(t, ctx, g.serve().URL+"/jobs/job/events")
	if _, err := bufio.NewReader(w.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A stream that cannot go on is cut off. A clean end would say that there is no
// more.
func TestEventsAreCutOff(t *testing.T) {
	broken := errors.New("the database is away")
	for name, tell := range map[string]func(cancel func()) func(context.Context, func(job.Event, error) bool){
		"an error of the log": func(func()) func(context.Context, func(job.Event, error) bool) {
			return func(_ context.Context, yield func(job.Event, error) bool) { yield(job.Event{}, broken) }
		},
		"the job is removed": func(func()) func(context.Context, func(job.Event, error) bool) {
			return func(_ context.Context, yield func(job.Event, error) bool) { yield(job.Event{}, store.ErrNotFound) }
		},
		"a panic": func(func()) func(context.Context, func(job.Event, error) bool) {
			return func(_ context.Context, yield func(job.Event, error) bool) { panic("of the log") }
		},
		"the server stops": func(stop func()) func(context.Context, func(job.Event, error) bool) {
			return func(ctx context.Context, _ func(job.Event, error) bool) {
				stop()
				<-ctx.Done()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := telling(t, story()[:2])
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			g.service.live = tell(stop)
			s := httptest.NewUnstartedServer(g)
			s.Config.BaseContext = asContext(ctx)
			s.Start()
			defer s.Close()
			all, err := io.ReadAll(open(t, t.Context(), s.URL+"/jobs/job/events").Body)
			if err == nil {
				t.Errorf("it ends as if there were no more, after %q", all)
			}
			if !strings.Contains(string(all), "id: 2\n") {
				t.Errorf("what was there before is lost: %q", all)
			}
		})
	}
}

// Who is wrong is told so before the stream begins.
// asContext is the context of every request of a server.
func asContext(ctx context.Context) func(net.Listener) context.Context {
	return func(net.Listener) context.Context { return ctx }
}

func TestEventsOfNobody(t *testing.T) {
	g := newRig(t)
	w := g.expect(http.StatusNotFound, "GET", "/jobs/nobody/events", "")
	if w.Body.String() != detail("Job not found") || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s, %v", w.Body, w.Header())
	}
}
