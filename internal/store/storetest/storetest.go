// Package storetest is the suite that every store passes. A driver's test file
// calls Run; see sqlite's.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Config is what the suite needs of a driver.
type Config struct {
	// New makes an empty database, removed by the test's cleanup.
	New func(t testing.TB) Database
	// Shared databases serve several servers at once.
	Shared bool
	// Backup is whether the store copies itself.
	Backup bool
}

// Database is one that can be opened again.
type Database interface {
	Open(ctx context.Context, o Options) (store.Store, error)
}

// Options are what tests want of a store.
type Options struct {
	Fault func(point string) error
}

// patience bounds waits for what has to happen; nothing waits that long.
const patience = 20 * time.Second

// suite is Config at work.
type suite struct{ Config }

// Run runs the suite.
func Run(t *testing.T, c Config) {
	s := &suite{c}
	tests := []struct {
		name string
		test func(*testing.T)
	}{
		{"SubmitGet", s.submitGet}, {"SubmitAllOrNone", s.submitAllOrNone}, {"Idempotency", s.idempotency},
		{"IdempotencyRace", s.idempotencyRace}, {"QueueFull", s.queueFull}, {"List", s.list}, {"Delete", s.delete},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.test)
	}
}

// open opens a new database for the length of a test.
func (s *suite) open(t *testing.T) store.Store {
	t.Helper()
	return start(t, s.New(t), Options{})
}

// start opens a database; the store is closed by the test's cleanup.
func start(t testing.TB, db Database, o Options) store.Store {
	t.Helper()
	st, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return st
}

// record is a small job.
func record(id string) job.Record {
	return job.Record{
		ID: id, JobType: "default", JobRef: "default@v1", MaxAttempts: 2, CodeHash: "c", InputHash: "i",
		Request: job.Request{Code: "print(1)", Language: "python", Input: []byte(`{}`), Priority: 2, Retry: job.RetryInfrastructure},
	}
}

// records are n of them.
func records(prefix string, n int) []job.Record {
	list := make([]job.Record, n)
	for i := range list {
		list[i] = record(fmt.Sprintf("%s-%d", prefix, i))
	}
	return list
}

func submit(t testing.TB, st store.Store, rs ...job.Record) []job.Record {
	t.Helper()
	stored, err := st.Submit(t.Context(), rs, 0)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return stored
}

func get(t testing.TB, st store.Store, id string) job.Record {
	t.Helper()
	r, err := st.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return r
}

// receive takes from a channel that will have something.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-from:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain: %s", what)
	}
	panic("not reached")
}

// slots is a bound for tests.
type slots struct{ free chan struct{} }

func newSlots(n int) *slots {
	s := &slots{make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

func (s *slots) release() { s.free <- struct{}{} }

func (s *slots) Acquire(ctx context.Context) (func(), error) {
	select {
	case <-s.free:
		return s.release, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *slots) TryAcquire() (func(), bool) {
	select {
	case <-s.free:
		return s.release, true
	default:
		return nil, false
	}
}

// server is a Work call.
type server struct {
	t     testing.TB
	st    store.Store
	slots *slots
	stop  func() // and wait
}

func node(name string) store.Node { return store.Node{Name: name, Lease: time.Minute} }

// serve runs handle for what waits, until the test or stop ends it.
func serve(t testing.TB, st store.Store, name string, n int, handle func(context.Context, store.Claim)) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{t: t, st: st, slots: newSlots(n)}
	ended := make(chan error, 1)
	go func() { ended <- st.Work(ctx, node(name), s.slots, handle) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			if err := receive(t, "the end of Work", ended); err != nil {
				t.Errorf("work: %v", err)
			}
		})
	}
	t.Cleanup(s.stop)
	return s
}

// collect passes claims on to the test, which reports on them: the slot is
// free when done is closed.
type held struct {
	store.Claim
	done chan struct{}
}

func (h held) end() { close(h.done) }

func collect(t testing.TB, st store.Store, name string, n int) (<-chan held, *server) {
	t.Helper()
	claims := make(chan held, 1000)
	s := serve(t, st, name, n, func(_ context.Context, c store.Claim) {
		h := held{c, make(chan struct{})}
		claims <- h
		select {
		case <-h.done:
		case <-t.Context().Done():
		}
	})
	return claims, s
}

// succeed finishes a claim.
func succeed(t testing.TB, st store.Store, h held) {
	t.Helper()
	if err := st.Finish(t.Context(), h.Claim, job.Succeeded, outcome("ok")); err != nil {
		t.Errorf("finish %s: %v", h.Record.ID, err)
	}
	h.end()
}

func outcome(stdout string) job.Outcome {
	code := 0
	return job.Outcome{ExitCode: &code, Stdout: stdout, Output: []byte(`{"a": 1.10}`), EndedBy: job.EndedBy{Actor: job.ActorUserCode},
		Timing: job.Timing{Total: time.Second, PhaseAtExit: job.PhaseCompleted}, Host: "h"}
}
