package attempt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// scripted is a runner that does what a test says.
type scripted func(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error)

func (s scripted) Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error) {
	return s(ctx, a, sinks)
}

// shelf keeps blobs in memory.
type shelf map[artifact.Digest][]byte

func (s shelf) Put(_ context.Context, r io.Reader, limit int64) (artifact.Digest, int64, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", 0, err
	}
	if int64(len(b)) > limit {
		return "", 0, job.Errorf(job.KindInvalid, "too long")
	}
	d := digest(string(b))
	s[d] = b
	return d, int64(len(b)), nil
}

func (s shelf) Open(_ context.Context, d artifact.Digest) (*artifact.Blob, error) {
	b, ok := s[d]
	if !ok {
		return nil, artifact.NotFound(d)
	}
	return artifact.NewBlob(artifact.Info{Digest: d, Size: int64(len(b))}, held{bytes.NewReader(b)}), nil
}

type held struct{ *bytes.Reader }

func (held) Close() error { return nil }

func digest(content string) artifact.Digest {
	sum := sha256.Sum256([]byte(content))
	return artifact.Digest(hex.EncodeToString(sum[:]))
}

func executor(run scripted) (*Executor, shelf) {
	blobs := shelf{digest("content"): []byte("content")}
	return &Executor{Runner: run, Blobs: blobs, Engine: engine.Info{Name: "fake", Version: "1"}, Host: "here"}, blobs
}

func plainType() job.Type {
	return job.Type{Name: "default", Limits: job.DefaultLimits(), Env: map[string]string{"FROM": "type", "ONLY": "type"}}
}

func TestRunEndsWell(t *testing.T) {
	zero := 0
	e, blobs := executor(func(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error) {
		fmt.Fprint(sinks.Stdout, "out\n")
		fmt.Fprint(sinks.Stderr, "err\n")
		if err := sinks.Artifact("a.txt", 3, strings.NewReader("abc")); err != nil {
			t.Error(err)
		}
		return &runner.Result{Status: job.Succeeded, ExitCode: &zero, Output: json.RawMessage("1.0"),
			Stdout: runner.Stream{Kept: []byte("out\n")}, Stderr: runner.Stream{Kept: []byte("e\xffr\n")},
			Artifacts: []job.Artifact{{Name: "a.txt", SizeBytes: 3, SHA256: "x"}}, Supply: job.SupplyRestore}, nil
	})
	log := &memory{}
	r := e.Run(t.Context(), &job.Record{Attempts: make([]job.AttemptRecord, 2), Request: job.Request{Language: "python", Code: "x"}}, plainType(), log.Append)
	if r.Status != job.Succeeded || r.Again || *r.Outcome.ExitCode != 0 || string(r.Outcome.Output) != "1.0" ||
		r.Outcome.Stderr != "e\uFFFDr\n" || r.Outcome.Sandbox.Supply != job.SupplyRestore || r.Outcome.Host != "here" {
		t.Errorf("got %+v", r)
	}
	if string(blobs[digest("abc")]) != "abc" {
		t.Errorf("blobs: %v", blobs)
	}
	all := append(log.events, r.Events...)
	var kinds []job.EventType
	for _, event := range all {
		if event.Attempt != 2 {
			t.Errorf("event %+v", event)
		}
		kinds = append(kinds, event.Type)
	}
	want := []job.EventType{job.EventStdout, job.EventStderr, job.EventArtifact} // statuses are the store's to tell
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestPlan(t *testing.T) {
	memory, pids, stdin := int64(1<<30), 7, "in"
	e, _ := executor(nil)
	req := &job.Request{
		Language: "python", Code: "x", Args: []string{"a"}, Env: map[string]string{"FROM": "request"}, Stdin: &stdin,
		Input: json.RawMessage(`{"a":1}`), Files: []job.InputFile{{Path: "d/f", SizeBytes: 7, SHA256: string(digest("content"))}},
		Timeout: 5, Limits: job.LimitRequest{Memory: &memory, PIDs: &pids},
	}
	a, err := e.plan(t.Context(), req, plainType())
	if err != nil {
		t.Fatal(err)
	}
	l := a.Limits
	if l.Memory != memory || l.PIDs != 7 || l.Execution != 5*time.Second || l.Startup != job.DefaultLimits().Startup || l.CPUs != 1 {
		t.Errorf("limits %+v", l)
	}
	preloading := plainType()
	preloading.Preload = []string{"numpy"}
	if b, err := e.plan(t.Context(), &job.Request{Language: "python", Code: "x"}, preloading); err != nil || a.FixedEnv || !b.FixedEnv || b.Preload[0] != "numpy" {
		t.Errorf("%v: variables of a request: fixed %v; of a type: fixed %v, preloads %v", err, a.FixedEnv, b.FixedEnv, b.Preload)
	}
	if diff := cmp.Diff(map[string]string{"FROM": "request", "ONLY": "type"}, a.Env); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	content, err := a.Files[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(content); err != nil || string(b) != "content" || a.Files[0].Path != "d/f" {
		t.Errorf("file %q, %v", b, err)
	}
	if b, err := io.ReadAll(a.Stdin); err != nil || string(b) != "in" {
		t.Errorf("input %q, %v", b, err)
	}
}

// What nothing can do yet is refused, not left out.
func TestRefused(t *testing.T) {
	e, _ := executor(func(context.Context, runner.Attempt, runner.Sinks) (*runner.Result, error) {
		t.Error("it ran")
		return nil, nil
	})
	for name, req := range map[string]job.Request{
		"requirements": {Requirements: []string{"numpy"}},
		"image":        {Image: "debian"},
		"network":      {Network: &job.Network{Mode: job.NetworkPublic}},
	} {
		r := e.Run(t.Context(), &job.Record{Request: req}, plainType(), (&memory{}).Append)
		if r.Status != job.Failed || r.Again || r.Outcome.Error.Type != "config_error" || *r.Outcome.ExitCode != -1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// What is tried again is what the program had no part in.
func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		res   *runner.Result
		err   error
		again bool
		kind  string
	}{
		{&runner.Result{Status: job.Failed}, nil, false, ""},
		{&runner.Result{Status: job.Failed}, job.Errorf(job.KindEngine, "it died"), true, ""},
		{&runner.Result{Status: job.Failed}, job.Errorf(job.KindUnavailable, "full"), true, ""},
		{&runner.Result{Status: job.Failed}, job.Errorf(job.KindInvalid, "too large"), false, ""},
		{nil, job.Errorf(job.KindInvalid, "no such language"), false, "config_error"},
		{nil, job.Errorf(job.KindUnavailable, "no disk"), true, "service_unavailable"},
	} {
		e, _ := executor(func(context.Context, runner.Attempt, runner.Sinks) (*runner.Result, error) { return tt.res, tt.err })
		r := e.Run(t.Context(), &job.Record{}, plainType(), (&memory{}).Append)
		if r.Again != tt.again {
			t.Errorf("%v: again is %v", tt.err, r.Again)
		}
		if tt.kind != "" && r.Outcome.Error.Type != tt.kind {
			t.Errorf("%v: %+v", tt.err, r.Outcome.Error)
		}
	}
}

// What is left of a sandbox is the operator's to know, and nothing else.
func TestLeftovers(t *testing.T) {
	e, _ := executor(func(context.Context, runner.Attempt, runner.Sinks) (*runner.Result, error) {
		return &runner.Result{Status: job.Succeeded, SandboxID: "box", Leftovers: errors.New("the cgroup is busy")}, nil
	})
	var log strings.Builder
	e.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := e.Run(t.Context(), &job.Record{ID: "a job"}, plainType(), (&memory{}).Append)
	if r.Status != job.Succeeded || r.Again || r.Outcome.Error != nil {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(log.String(), "the cgroup is busy") || !strings.Contains(log.String(), "a job") {
		t.Errorf("the log says %s", &log)
	}
}

// An attempt that was cancelled before it had a sandbox is cancelled, whatever
// became of what it waited for.
func TestCancelledBeforeItRan(t *testing.T) {
	e, _ := executor(func(ctx context.Context, _ runner.Attempt, _ runner.Sinks) (*runner.Result, error) {
		return nil, fmt.Errorf("packing the environment: %w", ctx.Err())
	})
	gone := errors.New("the caller has gone away")
	for cause, actor := range map[error]job.Actor{gone: job.ActorCancel, runner.ErrOperator: job.ActorOperator} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		r := e.Run(ctx, &job.Record{}, plainType(), (&memory{}).Append)
		if r.Status != job.Cancelled || r.Again || r.Outcome.EndedBy.Actor != actor || r.Outcome.Error.Type != "cancelled" {
			t.Errorf("%v: %+v", cause, r)
		}
	}
}

// A job whose files could not be kept has not succeeded, and is tried again.
func TestFilesThatCannotBeStored(t *testing.T) {
	full := job.Errorf(job.KindUnavailable, "the disk is full")
	own := job.EndedBy{Actor: job.ActorUserCode}
	for name, tc := range map[string]struct {
		res    runner.Result
		status job.Status
		again  bool
	}{
		"it succeeded":        {runner.Result{Status: job.Succeeded, EndedBy: own, Lost: full}, job.Failed, true},
		"it failed":           {runner.Result{Status: job.Failed, EndedBy: own, Lost: full}, job.Failed, true},
		"the key was changed": {runner.Result{Status: job.Succeeded, EndedBy: own, Lost: job.Errorf(job.KindConfig, "forbidden")}, job.Failed, true},
		"a file of its own limits": {
			runner.Result{Status: job.Succeeded, EndedBy: own, Lost: job.Errorf(job.KindInvalid, "too large")}, job.Succeeded, false,
		},
		"its time was up": {
			runner.Result{Status: job.Timeout, EndedBy: job.EndedBy{Actor: job.ActorTimeout}, Lost: full}, job.Timeout, false,
		},
	} {
		zero := 0
		tc.res.ExitCode, tc.res.Output, tc.res.Stdout.Kept = &zero, json.RawMessage("1"), []byte("out")
		e, _ := executor(func(context.Context, runner.Attempt, runner.Sinks) (*runner.Result, error) { return &tc.res, nil })
		r := e.Run(t.Context(), &job.Record{}, plainType(), (&memory{}).Append)
		o := r.Outcome
		if r.Status != tc.status || r.Again != tc.again || *o.ExitCode != 0 || string(o.Output) != "1" || o.Stdout != "out" {
			t.Errorf("%s: %+v", name, r)
		}
		if tc.again && (o.EndedBy.Actor != job.ActorHost || o.Error.Type != "service_unavailable" ||
			!strings.HasPrefix(o.Error.Message, "The files of the job could not be stored: ")) {
			t.Errorf("%s: %+v, %+v", name, o.EndedBy, o.Error)
		}
	}
}

// With snapshots of their own, owners are told apart; else all are one.
func TestPerKey(t *testing.T) {
	for perKey, want := range map[bool]string{true: "me", false: ""} {
		var tenant string
		e, _ := executor(func(_ context.Context, a runner.Attempt, _ runner.Sinks) (*runner.Result, error) {
			tenant = a.Tenant
			return &runner.Result{Status: job.Succeeded}, nil
		})
		e.PerKey = perKey
		e.Run(t.Context(), &job.Record{Owner: "me", Request: job.Request{Language: "python", Code: "x"}}, plainType(), (&memory{}).Append)
		if tenant != want {
			t.Errorf("per key %v: %q", perKey, tenant)
		}
	}
}
