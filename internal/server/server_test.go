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
}

func (f *fake) note(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fake) Start(context.Context) error { f.note("jobs start"); return f.fail }

func (f *fake) Stop(context.Context) {
	if f.stopped != nil {
		<-f.stopped
	}
	f.note("jobs stopped")
}

func options(t *testing.T, jobs *fake, handler http.HandlerFunc) (Options, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Listener: l, Handler: handler, Jobs: jobs, Drain: patience, Log: slog.New(slog.DiscardHandler),
		Ready: func() { jobs.note("ready") }, Stopping: func() { jobs.note("stopping") },
		Background: []func(context.Context){func(ctx context.Context) { <-ctx.Done(); jobs.note("background ended") }},
	}, "http://" + l.Addr().String()
}

// A request that is under way when the server stops is answered, a stream that
// would not end is cut when the jobs are done, and only then all is over.
func TestStopInOrder(t *testing.T) {
	jobs := &fake{stopped: make(chan struct{})}
	entered := make(chan string, 2)
	goOn := make(chan struct{})
	o, url := options(t, jobs, func(w http.ResponseWriter, r *http.Request) {
		entered <- r.URL.Path
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		<-goOn
		io.WriteString(w, "answered")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- Run(ctx, o) }()

	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	answers := make(chan string, 2)
	for _, path := range []string{"/job", "/stream"} {
		go func() {
			resp, err := client.Get(url + path)
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			answers <- string(body)
		}()
		<-entered
	}
	cancel()
	close(goOn)
	if got := <-answers; got != "answered" {
		t.Errorf("the request got %q", got)
	}
	close(jobs.stopped)
	if got := <-answers; got != "" {
		t.Errorf("the stream got %q", got)
	}
	if err := <-ran; err != nil {
		t.Errorf("it ended with %v", err)
	}
	want := "jobs start, ready, stopping, jobs stopped, background ended"
	if got := strings.Join(jobs.events, ", "); got != want {
		t.Errorf("order: %s", got)
	}
}

func TestStartThatFails(t *testing.T) {
	jobs := &fake{fail: errors.New("no database")}
	o, url := options(t, jobs, nil)
	if err := Run(t.Context(), o); err == nil {
		t.Error("no error")
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("the address is still taken")
	}
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
