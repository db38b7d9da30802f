package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

const patience = 30 * time.Second

// executor does with each attempt what the job's code names.
type executor struct {
	started chan string // ids
	ran     atomic.Int64
	release chan struct{} // "wait" goes on when it is closed
}

func newExecutor() *executor {
	return &executor{started: make(chan string, 1000), release: make(chan struct{})}
}

func (e *executor) Run(ctx context.Context, rec *job.Record, _ job.Type, log func(context.Context, []job.Event) error) job.Ended {
	e.ran.Add(1)
	e.started <- rec.ID
	text, _ := json.Marshal(map[string]string{"text": fmt.Sprintf("attempt %d\n", rec.Attempt)})
	if err := log(context.WithoutCancel(ctx), []job.Event{{Attempt: rec.Attempt, At: time.Now(), Type: job.EventStdout, Data: text}}); err != nil {
		return ended(job.Failed, "log_failed", err.Error())
	}
	switch rec.Request.Code {
	case "wait":
		select {
		case <-e.release:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), runner.ErrOperator) {
				return ended(job.Cancelled, "cancelled", "by the operator")
			}
			return ended(job.Cancelled, "cancelled", "Execution was cancelled by user")
		}
	case "refused":
		end := ended(job.Failed, "config_error", "a file is gone")
		end.Outcome.Sandbox = job.SandboxRef{}
		return end
	case "broken":
		end := ended(job.Failed, "service_unavailable", "the engine is gone")
		end.Again = true
		return end
	case "broken once":
		if rec.Attempt == 0 {
			end := ended(job.Failed, "service_unavailable", "the engine is gone")
			end.Again = true
			return end
		}
	}
	return ended(job.Succeeded, "", "")
}

func ended(status job.Status, kind, message string) job.Ended {
	code := 0
	end := job.Ended{Status: status, Outcome: job.Outcome{
		ExitCode: &code, Stdout: "out", Environment: job.EnvironmentRef{Digest: "image"}, Sandbox: job.SandboxRef{Supply: job.SupplyCold},
	}}
	if kind != "" {
		end.Outcome.Error = &job.Failure{Type: kind, Message: message}
	}
	return end
}

// types has one type.
type types struct{}

func (types) Resolve(_ context.Context, ref string) (job.Type, error) {
	if ref == "none" {
		return job.Type{}, job.Errorf(job.KindConfig, "no such type")
	}
	return job.Type{Name: "default", Ref: "default@latest", Limits: job.DefaultLimits()}, nil
}

type rig struct {
	*queue.Jobs
	store store.Store
	exec  *executor
}

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

func newRig(t *testing.T, changes ...func(*queue.Options)) *rig {
	t.Helper()
	return rigOn(t, open(t, filepath.Join(t.TempDir(), "tako.db")), changes...)
}

func rigOn(t *testing.T, s store.Store, changes ...func(*queue.Options)) *rig {
	t.Helper()
	exec := newExecutor()
	o := queue.Options{
		Store: s, Slots: queue.NewSlots(queue.Budget{Slots: 4, Reserved: 1, Waiting: 100}), Executor: exec, Types: types{},
		Node: store.Node{Name: "here", Lease: time.Minute}, RetryBase: time.Millisecond, Drain: patience,
	}
	for _, change := range changes {
		change(&o)
	}
	r := &rig{Jobs: queue.New(o), store: s, exec: exec}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Stop(context.Background()) })
	return r
}

func request(code string) job.Request {
	return job.Request{Code: code, Language: "python", Priority: 2, Retry: job.RetryInfrastructure}
}

func (r *rig) submit(t *testing.T, req job.Request, o queue.Origin) job.Record {
	t.Helper()
	rec, err := r.Submit(t.Context(), req, o)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func (r *rig) wait(t *testing.T, id string) job.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rec, err := r.Wait(ctx, id)
	if err != nil {
		t.Fatalf("waiting for %s: %v (%s)", id, err, rec.Status)
	}
	return rec
}

func TestSubmitRuns(t *testing.T) {
	r := newRig(t)
	rec := r.submit(t, request("x"), queue.Origin{CorrelationID: "c"})
	if rec.Status != job.Queued || len(rec.ID) != 36 {
		t.Errorf("submitted as %+v", rec)
	}
	rec = r.wait(t, rec.ID)
	if rec.Status != job.Succeeded || rec.Outcome.Stdout != "out" || rec.CorrelationID != "c" || rec.JobRef != "default@latest" ||
		rec.StartedAt.IsZero() || rec.EndedAt.Before(rec.StartedAt) || string(rec.Request.Input) != "{}" {
		t.Errorf("ended as %+v", rec)
	}
	events, err := r.store.Events(t.Context(), rec.ID, 0, 100)
	if err != nil || len(events) == 0 || events[len(events)-1].Type != job.EventEnd {
		t.Errorf("events %+v, %v", events, err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Errorf("event %d has the number %d", i, e.Seq)
		}
	}
}

func TestExecute(t *testing.T) {
	r := newRig(t)
	rec, err := r.Execute(t.Context(), request("x"), queue.Origin{IdempotencyKey: "a key once"})
	if err != nil || rec.Status != job.Succeeded || rec.ID[:4] != "api-" {
		t.Fatalf("%+v, %v", rec, err)
	}
	again, err := r.Execute(t.Context(), request("x"), queue.Origin{IdempotencyKey: "a key once"})
	if err != nil || again.ID != rec.ID || r.exec.ran.Load() != 1 {
		t.Errorf("a repeat is %s, %v; %d ran", again.ID, err, r.exec.ran.Load())
	}
	if _, err := r.Execute(t.Context(), request("y"), queue.Origin{IdempotencyKey: "a key once"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the key for something else: %v", err)
	}
	if _, err := r.Submit(t.Context(), request("y"), queue.Origin{IdempotencyKey: "a key once"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the key for something else, async: %v", err)
	}
}

// A repeat that comes while the first runs waits for it.
func TestRepeatWaits(t *testing.T) {
	r := newRig(t)
	o := queue.Origin{IdempotencyKey: "a key once"}
	ids := make(chan string, 3)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			rec, err := r.Execute(t.Context(), request("wait"), o)
			if err != nil || rec.Status != job.Succeeded {
				t.Errorf("%+v, %v", rec.Status, err)
			}
			ids <- rec.ID
		})
	}
	<-r.exec.started
	close(r.exec.release)
	all.Wait()
	if a, b, c := <-ids, <-ids, <-ids; a != b || b != c || r.exec.ran.Load() != 1 {
		t.Errorf("%s, %s, %s; %d ran", a, b, c, r.exec.ran.Load())
	}
}

func TestRetries(t *testing.T) {
	r := newRig(t, func(o *queue.Options) { o.MaxAttempts = 3 })
	rec := r.wait(t, r.submit(t, request("broken once"), queue.Origin{}).ID)
	if rec.Status != job.Succeeded || rec.Attempt != 1 || len(rec.Attempts) != 2 {
		t.Errorf("tried again: %s, attempt %d, %+v", rec.Status, rec.Attempt, rec.Attempts)
	}
	rec = r.wait(t, r.submit(t, request("broken"), queue.Origin{}).ID)
	if rec.Status != job.Failed || rec.Attempt != 2 || rec.Outcome.Error.Type != "service_unavailable" {
		t.Errorf("given up: %s, attempt %d, %+v", rec.Status, rec.Attempt, rec.Outcome.Error)
	}
	req := request("broken")
	req.Retry = job.RetryNever
	if rec = r.wait(t, r.submit(t, req, queue.Origin{}).ID); rec.Attempt != 0 || rec.Status != job.Failed {
		t.Errorf("never again: %s, attempt %d", rec.Status, rec.Attempt)
	}
	sync, err := r.Execute(t.Context(), request("broken once"), queue.Origin{})
	if err != nil || sync.Status != job.Succeeded {
		t.Errorf("sync: %s, %v", sync.Status, err)
	}
	if kept, err := r.store.Get(t.Context(), sync.ID); err != nil || len(kept.Attempts) != 2 || kept.Attempt != 1 || kept.Attempts[0].Error == nil {
		t.Errorf("sync, as it is kept: %+v, %v", kept.Attempts, err)
	}
}

// What was given up is kept where an operator finds it.
func TestDeadLetters(t *testing.T) {
	r := newRig(t)
	rec := r.wait(t, r.submit(t, request("broken"), queue.Origin{ClientIP: "10.0.0.1"}).ID)
	letters, _, err := r.store.DeadLetters(t.Context(), "", 10, 0)
	if err != nil || len(letters) != 1 || letters[0].JobID != rec.ID || letters[0].ErrorType != "service_unavailable" {
		t.Fatalf("%+v, %v", letters, err)
	}
	var data map[string]any
	if err := json.Unmarshal(letters[0].JobData, &data); err != nil || data["code_size_bytes"] != 6.0 || data["code"] != nil {
		t.Errorf("the letter says %s, %v", letters[0].JobData, err)
	}
}

func TestCancel(t *testing.T) {
	r := newRig(t)
	running := r.submit(t, request("wait"), queue.Origin{})
	<-r.exec.started
	if _, err := r.Cancel(t.Context(), job.Principal{}, running.ID); err != nil {
		t.Fatal(err)
	}
	if rec := r.wait(t, running.ID); rec.Status != job.Cancelled {
		t.Errorf("a running job ended as %s", rec.Status)
	}
	later := request("x")
	later.RunAt = time.Now().Add(time.Hour)
	waiting := r.submit(t, later, queue.Origin{})
	if rec, err := r.Cancel(t.Context(), job.Principal{}, waiting.ID); err != nil || rec.Status != job.Cancelled {
		t.Errorf("a waiting job: %s, %v", rec.Status, err)
	}
	if _, err := r.Cancel(t.Context(), job.Principal{}, waiting.ID); !errors.Is(err, store.ErrEnded) {
		t.Errorf("twice: %v", err)
	}
	if _, err := r.Cancel(t.Context(), job.Principal{Owner: "another"}, running.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
}

func TestAgain(t *testing.T) {
	r := newRig(t)
	req := request("x")
	req.Env, req.Timeout, req.Labels = map[string]string{"A": "b"}, 7, map[string]string{"l": "v"}
	parent := r.wait(t, r.submit(t, req, queue.Origin{}).ID)
	code := "y"
	fork, err := r.Again(t.Context(), parent.ID, job.Fork, queue.Change{Code: &code}, queue.Origin{})
	if err != nil || fork.ParentID != parent.ID || fork.Relationship != job.Fork || fork.Request.Code != "y" || fork.Request.Timeout != 7 ||
		fork.Request.Env["A"] != "b" || fork.Request.Labels["l"] != "v" {
		t.Fatalf("%+v, %v", fork, err)
	}
	fork = r.wait(t, fork.ID)
	rerun, err := r.Again(t.Context(), fork.ID, job.Rerun, queue.Change{}, queue.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	r.wait(t, rerun.ID)
	line, children, err := r.Lineage(t.Context(), job.Principal{}, fork.ID, 10)
	if err != nil || len(line) != 2 || line[0].ID != parent.ID || len(children) != 1 || children[0].ID != rerun.ID {
		t.Errorf("line %d, children %d, %v", len(line), len(children), err)
	}
	waiting := r.submit(t, request("wait"), queue.Origin{})
	if _, err := r.Again(t.Context(), waiting.ID, job.Rerun, queue.Change{}, queue.Origin{}); job.KindOf(err) != job.KindInvalid {
		t.Errorf("one that has not ended: %v", err)
	}
	close(r.exec.release)
}

// What runs when a server stops is handed back and runs elsewhere; sync jobs
// are interrupted.
func TestStopHandsBack(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tako.db"))
	first := rigOn(t, s, func(o *queue.Options) { o.Drain = time.Nanosecond; o.Node.Name = "first" })
	queued := first.submit(t, request("wait"), queue.Origin{})
	<-first.exec.started
	sync := make(chan job.Record, 1)
	go func() {
		rec, err := first.Execute(t.Context(), request("wait"), queue.Origin{})
		if err != nil {
			t.Errorf("execute: %v", err)
		}
		sync <- rec
	}()
	<-first.exec.started
	first.Stop(t.Context())
	if rec := <-sync; rec.Status != job.Failed || rec.Outcome.Error.Type != "interrupted" {
		t.Errorf("the sync job ended as %+v", rec)
	}
	if _, err := first.Submit(t.Context(), request("x"), queue.Origin{}); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("submitted to a stopped server: %v", err)
	}
	second := rigOn(t, s, func(o *queue.Options) { o.Node.Name = "second" })
	close(second.exec.release)
	if rec := second.wait(t, queued.ID); rec.Status != job.Succeeded || rec.Interruptions != 1 || rec.Attempt != 0 {
		t.Errorf("the queued job ended as %s, %d interruptions, attempt %d", rec.Status, rec.Interruptions, rec.Attempt)
	}
}

func TestMaxTimeout(t *testing.T) {
	r := newRig(t, func(o *queue.Options) { o.MaxTimeout = 20 })
	req := request("x")
	req.Timeout = 21
	if _, err := r.Submit(t.Context(), req, queue.Origin{}); job.KindOf(err) != job.KindInvalid {
		t.Errorf("too long: %v", err)
	}
	if _, err := r.Submit(t.Context(), request("x"), queue.Origin{}); job.KindOf(err) != job.KindInvalid { // the type has 30 s
		t.Errorf("too long by its type: %v", err)
	}
}

// A request may not ask for a longer start than the operator allows; on which
// path it comes makes no difference.
func TestMaxStartupTimeout(t *testing.T) {
	r := newRig(t, func(o *queue.Options) { o.MaxStartupTimeout = 60 })
	req := request("x")
	req.StartupTimeout = 61
	_, sync := r.Execute(t.Context(), req, queue.Origin{})
	_, async := r.Submit(t.Context(), req, queue.Origin{})
	_, _, batch := r.SubmitBatch(t.Context(), []job.Request{req}, queue.Group{}, queue.Origin{})
	for _, err := range []error{sync, async, batch} {
		if job.KindOf(err) != job.KindInvalid ||
			err.Error() != "startup_timeout must be less than or equal to the configured max_startup_timeout (60 seconds)" {
			t.Errorf("%v", err)
		}
	}
	req.StartupTimeout = 60
	if _, err := r.Execute(t.Context(), req, queue.Origin{}); err != nil {
		t.Errorf("as long as is allowed: %v", err)
	}
}

// One key and a hundred submits at once make one job.
func TestIdempotentAtOnce(t *testing.T) {
	r := newRig(t)
	ids := map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			rec, err := r.Submit(t.Context(), request("x"), queue.Origin{IdempotencyKey: "the same for all"})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[rec.ID] = true
		})
	}
	all.Wait()
	if len(ids) != 1 {
		t.Errorf("%d jobs", len(ids))
	}
	for id := range ids {
		r.wait(t, id)
	}
	if n := r.exec.ran.Load(); n != 1 {
		t.Errorf("%d ran", n)
	}
}
