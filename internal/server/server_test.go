package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// fake are jobs that take as long to stop as a test says.
type fake struct {
	mu      sync.Mutex
	events  []string
	fail    error
	stopped chan struct{} // Stop returns when it is closed
	// stopping, if not nil, is closed when Stop was called.
	stopping chan struct{}
}

func (f *fake) note(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fake) Start(context.Context) error { f.note("jobs start"); return f.fail }

func (f *fake) Stop(context.Context) {
	if f.stopping != nil {
		close(f.stopping)
	}
	if f.stopped != nil {
		<-f.stopped
	}
	f.note("jobs stopped")
}

// options are of a server whose parts are built at once.
func options(t *testing.T, jobs *fake, handler http.HandlerFunc) (Options, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	starting := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	build := func(context.Context) (Parts, error) {
		return Parts{
			Handler: handler, Jobs: jobs, Ready: func() { jobs.note("ready") }, Stopping: func() { jobs.note("stopping") },
			Background: []func(context.Context){func(ctx context.Context) { <-ctx.Done(); jobs.note("background ended") }},
		}, nil
	}
	return Options{
		Listener: l, Starting: http.HandlerFunc(starting), Build: build, Drain: patience, Log: slog.New(slog.DiscardHandler),
	}, "http://" + l.Addr().String()
}

// caller asks a server under test.
func caller(t *testing.T) *http.Client {
	c := &http.Client{Timeout: patience}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// get answers a body and a status, or why there is none.
func get(c *http.Client, url string) (body string, status int) {
	resp, err := c.Get(url)
	if err != nil {
		return err.Error(), 0
	}
	defer resp.Body.Close()
	all, _ := io.ReadAll(resp.Body) // of a stream that is cut, what came
	return string(all), resp.StatusCode
}

// A request that is under way when the server stops is answered, one that comes
// while jobs still run is, too, a stream that would not end is cut when the jobs
// are done, and only then all is over.
func TestStopInOrder(t *testing.T) {
	jobs := &fake{stopped: make(chan struct{}), stopping: make(chan struct{})}
	entered := make(chan string, 2)
	goOn := make(chan struct{})
	o, url := options(t, jobs, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			w.(http.Flusher).Flush()
			entered <- r.URL.Path
			<-r.Context().Done()
			return
		case "/job":
			entered <- r.URL.Path
			<-goOn
		}
		io.WriteString(w, "answered")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	built := make(chan struct{})
	build := o.Build
	o.Build = func(ctx context.Context) (Parts, error) {
		p, err := build(ctx)
		ready := p.Ready
		p.Ready = func() { ready(); close(built) }
		return p, err
	}
	go func() { ran <- Run(ctx, o) }()
	<-built
	client := caller(t)
	answers := map[string]chan string{"/job": make(chan string, 1), "/stream": make(chan string, 1)}
	for path, answer := range answers {
		go func() { body, _ := get(client, url+path); answer <- body }()
		<-entered
	}
	cancel()
	<-jobs.stopping
	close(goOn)
	if got := <-answers["/job"]; got != "answered" {
		t.Errorf("the request got %q", got)
	}
	if got, status := get(caller(t), url+"/late"); got != "answered" {
		t.Errorf("a request while jobs end got %d %q", status, got)
	}
	close(jobs.stopped)
	if got := <-answers["/stream"]; got != "" {
		t.Errorf("the stream got %q", got)
	}
	if err := <-ran; err != nil {
		t.Errorf("it ended with %v", err)
	}
	want := "jobs start, ready, stopping, jobs stopped, background ended"
	if got := strings.Join(jobs.events, ", "); got != want {
		t.Errorf("order: %s", got)
	}
	closed(t, url)
}

// closed wants that nobody listens any more.
func closed(t *testing.T, url string) {
	t.Helper()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		conn.Close()
		t.Error("the address is still taken")
	}
}

// There is an answer while the parts are still being made.
func TestAnswersWhileItStarts(t *testing.T) {
	o, url := options(t, &fake{}, nil)
	asked := make(chan struct{})
	o.Build = func(context.Context) (Parts, error) {
		<-asked
		return Parts{}, errors.New("no engine")
	}
	ran := make(chan error, 1)
	go func() { ran <- Run(t.Context(), o) }()
	if _, status := get(caller(t), url+"/health"); status != http.StatusServiceUnavailable {
		t.Errorf("the answer is %d", status)
	}
	close(asked)
	if err := <-ran; err == nil || err.Error() != "no engine" {
		t.Errorf("it ended with %v", err)
	}
	closed(t, url)
}

func TestStartThatFails(t *testing.T) {
	o, url := options(t, &fake{fail: errors.New("no database")}, nil)
	if err := Run(t.Context(), o); err == nil {
		t.Error("no error")
	}
	closed(t, url)
}

func TestCheckBind(t *testing.T) {
	for host, loopback := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "[::1]": true, "localhost": true, "LOCALHOST": true,
		"0.0.0.0": false, "": false, "::": false, "192.168.1.1": false, "example.com": false, "localhost.example.com": false,
	} {
		if err := CheckBind(host, false, false); (err == nil) != loopback {
			t.Errorf("%q: %v", host, err)
		}
		if err := errors.Join(CheckBind(host, true, false), CheckBind(host, false, true)); err != nil {
			t.Errorf("%q with authentication or by permission: %v", host, err)
		}
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "another tako server") {
		t.Errorf("a second server: %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	Notify("READY=1")
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 64)
	if n, err := bufio.NewReader(conn).Read(got); err != nil || string(got[:n]) != "READY=1" {
		t.Errorf("got %q, %v", got[:n], err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	Notify("READY=1")
	t.Setenv("NOTIFY_SOCKET", "")
	Notify("READY=1")
}
