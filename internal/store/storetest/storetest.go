// Package storetest is the suite that every store passes. A driver's test file
// calls Run; see sqlite's.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
	// Backup is the database that a backup is; nil if the store makes none.
	Backup func(path string) Database
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
	t.Run("Leaks", s.leaks) // alone: the goroutines of others look like leaks
	for _, tt := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Model", s.model}, {"FaultsOnce", s.faultsOnce}, {"FaultsDeadly", s.faultsDeadly}, // the longest first
		{"SubmitGet", s.submitGet}, {"SubmitAllOrNone", s.submitAllOrNone}, {"Together", s.together}, {"Idempotency", s.idempotency},
		{"IdempotencyRace", s.idempotencyRace}, {"QueueFull", s.queueFull}, {"QueueFullAtOnce", s.queueFullAtOnce},
		{"QueueFullElsewhere", s.queueFullElsewhere}, {"QueueFullLater", s.queueFullLater}, {"List", s.list}, {"ListEach", s.listEach}, {"Delete", s.delete}, {"DeleteLarge", s.deleteLarge},
		{"Work", s.work}, {"WorkOrder", s.workOrder}, {"WorkSlots", s.workSlots}, {"WorkDrains", s.workDrains},
		{"WorkScheduled", s.workScheduled}, {"WorkAbandoned", s.workAbandoned}, {"WorkOneAtATime", s.workOneAtATime}, {"WorkAgain", s.workAgain},
		{"WorkAbandonedForGood", s.workAbandonedForGood}, {"WorkGone", s.workGone}, {"NextAttempt", s.nextAttempt}, {"GiveUp", s.giveUp}, {"ByKey", s.byKey}, {"Said", s.said},
		{"Finish", s.finish}, {"FinishOnce", s.finishOnce}, {"Retry", s.retry}, {"Release", s.release},
		{"ReleasePlace", s.releasePlace}, {"Reports", s.reports},
		{"Position", s.position}, {"CancelQueued", s.cancelQueued}, {"CancelRunning", s.cancelRunning},
		{"CancelledNotRetried", s.cancelledNotRetried},
		{"Sync", s.sync}, {"SyncIdempotency", s.syncIdempotency}, {"SyncTakenID", s.syncTakenID},
		{"RecoverRestart", s.recoverRestart}, {"RecoverLease", s.recoverLease}, {"RecoverLimit", s.recoverLimit},
		{"RecoverEnds", s.recoverEnds}, {"Renew", s.renew}, {"RenewLost", s.renewLost}, {"Servers", s.servers},
		{"ServersCancel", s.serversCancel}, {"ServersRecover", s.serversRecover},
		{"Events", s.events}, {"EventsAttempts", s.eventsAttempts}, {"EventsAtOnce", s.eventsAtOnce},
		{"EventsTruncated", s.eventsTruncated}, {"Follow", s.follow}, {"FollowSlow", s.followSlow},
		{"Batch", s.batch}, {"BatchAllOrNone", s.batchAllOrNone}, {"BatchFed", s.batchFed}, {"BatchFair", s.batchFair}, {"BatchCancel", s.batchCancel},
		{"BatchIdempotency", s.batchIdempotency}, {"BatchExpires", s.batchExpires},
		{"Keys", s.keys}, {"JobTypes", s.jobTypes}, {"Versions", s.versions}, {"VersionsTogether", s.versionsTogether}, {"Secrets", s.secrets},
		{"DeadLetters", s.deadLetters}, {"Deliveries", s.deliveries}, {"DeliveriesOnce", s.deliveriesOnce},
		{"DeliveriesExcept", s.deliveriesExcept}, {"Uploads", s.uploads}, {"Blobs", s.blobs},
		{"Exact", s.exact}, {"Stats", s.stats}, {"Backup", s.backup}, {"Closed", s.closed}, {"Reopen", s.reopen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t)
		})
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
	quit chan struct{} // has the handles of collect return
	stop func()        // and wait
}

// kill ends a server whose store is dead, with all that it was doing.
func (s *server) kill() {
	close(s.quit)
	s.stop()
}

func node(name string) store.Node { return store.Node{Name: name, Lease: time.Minute} }

// serve runs handle for what waits, n at once, until the test or stop ends it.
func serve(t testing.TB, st store.Store, name string, n int, handle func(context.Context, store.Claim)) *server {
	t.Helper()
	return serveIn(t, st, name, newSlots(n), handle)
}

func serveIn(t testing.TB, st store.Store, name string, in store.Slots, handle func(context.Context, store.Claim)) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{quit: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- st.Work(ctx, node(name), in, handle) }()
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

// held is a claim that was passed on to the test, which reports on it and then
// calls end.
type held struct {
	store.Claim
	done chan struct{}
}

// end has the handle return, which frees its slot.
func (h held) end() { close(h.done) }

// collect serves n claims at once and passes them on.
func collect(t testing.TB, st store.Store, name string, n int) (<-chan held, *server) {
	t.Helper()
	return collectIn(t, st, name, newSlots(n))
}

func collectIn(t testing.TB, st store.Store, name string, in store.Slots) (<-chan held, *server) {
	t.Helper()
	claims := make(chan held, 1000)
	quit := make(chan *server, 1)
	s := serveIn(t, st, name, in, func(_ context.Context, c store.Claim) {
		s := <-quit
		quit <- s
		h := held{c, make(chan struct{})}
		claims <- h
		select {
		case <-h.done:
		case <-s.quit:
		case <-t.Context().Done():
		}
	})
	quit <- s
	return claims, s
}

// runOne submits a record to a store that nobody works at and claims it.
func runOne(t testing.TB, st store.Store, r job.Record) held {
	t.Helper()
	submit(t, st, r)
	claims, _ := collect(t, st, "n", 1)
	return receive(t, "the claim of "+r.ID, claims)
}

// await waits until a record is as wanted.
func await(t testing.TB, st store.Store, id, what string, is func(job.Record) bool) (r job.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found := false
	_ = st.Follow(ctx, func(changed string) {
		if found || (changed != "" && changed != id) {
			return
		}
		if r = get(t, st, id); is(r) {
			found = true
			cancel()
		}
	})
	if !found {
		t.Fatalf("waited in vain: %s is %s: %+v", id, what, r)
	}
	return r
}

// log reads the whole log of a job, and checks that it has no gap.
func log(t testing.TB, st store.Store, id string) []job.Event {
	t.Helper()
	events, err := st.Events(t.Context(), id, 0, 10_000)
	if err != nil {
		t.Fatalf("the log of %s: %v", id, err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Errorf("event %d of %s has the number %d", i+1, id, e.Seq)
		}
		if e.Type == job.EventEnd && i < len(events)-1 {
			t.Errorf("in the log of %s something follows the end: %+v", id, events[i+1])
		}
	}
	return events
}

// story is a log in short: "status:running stdout:{...} end:failed".
func story(t testing.TB, st store.Store, id string) string {
	t.Helper()
	var parts []string
	for _, e := range log(t, st, id) {
		var data struct{ Status string }
		if err := json.Unmarshal(e.Data, &data); err != nil || data.Status == "" {
			data.Status = string(e.Data)
		}
		parts = append(parts, string(e.Type)+":"+data.Status)
	}
	return strings.Join(parts, " ")
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
