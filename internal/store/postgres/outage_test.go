package postgres_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// patience bounds waits for what has to happen.
const patience = 20 * time.Second

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// receive takes from a channel that will have something.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("not reached")
	}
}

// until tries until it works.
func until(t testing.TB, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: waited in vain: %v", what, err)
}

// serve works on what waits and finishes it, telling of it.
func serve(t testing.TB, s store.Store, name string) (started <-chan string, stop func()) {
	t.Helper()
	ids := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Work(ctx, store.Node{Name: name, Lease: time.Minute}, free{}, func(ctx context.Context, c store.Claim) {
			ids <- c.Record.ID
			until(t, "finishing", func() error {
				err := s.Finish(ctx, c, job.Succeeded, job.Outcome{})
				if err != nil && job.KindOf(err) != job.KindUnavailable {
					t.Errorf("finish: %v", err)
					return nil
				}
				return err
			})
		})
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := receive(t, "the end of Work", ended); err != nil {
				t.Errorf("work: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return ids, stop
}

func submit(s store.Store, id string) error {
	_, err := s.Submit(context.Background(), []job.Record{small(id)}, 0)
	return err
}

// A server that is started again is noticed by nobody but who was at it.
func TestRestart(t *testing.T) {
	server := pgtest.New(t)
	url, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	s := openAt(t, url, postgres.Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	started, _ := serve(t, s, "n")
	missed := make(chan struct{}, 1000)
	follow(t, s, func(id string) {
		if id == "" {
			missed <- struct{}{}
		}
	})
	receive(t, "the first change", missed)
	for i := range 3 {
		id := fmt.Sprint("before-", i)
		if err := submit(s, id); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "a start", started); got != id {
			t.Errorf("%s started", got)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("ping right after a restart: %v", err)
		}
		if err := submit(s, fmt.Sprint("after-", i)); err != nil {
			t.Errorf("submit right after a restart: %v", err)
		}
		receive(t, "a start after a restart", started)
		receive(t, "word that something may have been missed", missed)
	}
	for i := range 3 {
		until(t, "the end", func() error { return ended(s, fmt.Sprint("after-", i)) })
	}
	if strings.Contains(log.String(), password(t, url)) {
		t.Error("the password is in the log")
	}
}

// ended is nil when a job has ended.
func ended(s store.Store, id string) error {
	r, err := s.Get(context.Background(), id)
	if err == nil && !r.Status.Terminal() {
		err = fmt.Errorf("%s is %s", id, r.Status)
	}
	return err
}

// While the server is away calls fail as unavailable, and afterwards all goes
// on by itself.
func TestOutage(t *testing.T) {
	server := pgtest.New(t)
	url, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	o := postgres.Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s, other := openAt(t, url, o), openAt(t, url, o)
	started, _ := serve(t, s, "n")
	seen := make(chan string, 1000)
	follow(t, other, func(id string) { seen <- id })
	if err := submit(s, "before"); err != nil {
		t.Fatal(err)
	}
	receive(t, "a start", started)
	if err := server.Halt(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"ping":   func() error { return s.Ping(t.Context()) },
		"submit": func() error { return submit(s, "during") },
		"get":    func() error { _, err := s.Get(t.Context(), "during"); return err },
		"cancel": func() error { _, err := s.Cancel(t.Context(), "during"); return err },
		"stats":  func() error { _, err := s.Stats(t.Context()); return err },
		"begin": func() error {
			_, _, err := s.Begin(t.Context(), small("sync"), store.Node{Name: "n", Lease: time.Minute})
			return err
		},
		"renew or open": func() error { _, err := postgres.Open(t.Context(), url, o); return err },
	} {
		if err := call(); job.KindOf(err) != job.KindUnavailable {
			t.Errorf("%s without a server: %v", name, err)
		} else {
			checkSecrets(t, url, err)
		}
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	until(t, "submitting again", func() error { return submit(s, "afterwards") })
	for receive(t, "a start afterwards", started) != "afterwards" {
	}
	until(t, "word of it elsewhere", func() error { // which may have to connect first
		id := rand.Text()
		if err := submit(s, id); err != nil {
			return err
		}
		for {
			select {
			case got := <-seen:
				if got == id {
					return nil
				}
			case <-time.After(time.Second):
				return errors.New("it was not told of")
			}
		}
	})
	if strings.Contains(log.String(), password(t, url)) {
		t.Error("the password is in the log")
	}
}

// What stops does so without a database, too.
func TestStopDuringOutage(t *testing.T) {
	server := pgtest.New(t)
	url, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	started, stop := serve(t, s, "n")
	if err := submit(s, "a"); err != nil {
		t.Fatal(err)
	}
	receive(t, "a start", started)
	until(t, "the end", func() error { return ended(s, "a") })
	if err := server.Halt(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	stop()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	if err := s.Ping(t.Context()); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("after close: %v", err)
	}
}
