// Package sandbox supplies ready sandboxes: it turns an environment and limits
// into an engine's spec, launches it and greets the init inside. It also keeps
// this process's home in the data directory and reclaims what dead processes
// have left.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// User code's identity inside every sandbox.
const (
	UID     = 1000
	GID     = 1000
	HomeDir = "/home/sandbox"
)

// Directories of the contract inside every sandbox.
const (
	CodeDir   = "/code"
	InputDir  = "/input"
	OutputDir = "/output"
	AppDir    = "/app"
	TmpDir    = "/tmp"
)

// Supplier launches sandboxes.
type Supplier struct {
	Engine engine.Engine
	// Init is the path of the image that holds the guest init.
	Init string
	// Permissive launches even where the host cannot enforce a limit.
	Permissive bool
}

// Request says what a sandbox is for.
type Request struct {
	Environment environment.Environment
	Limits      job.Limits
	// CodeBytes and InputBytes are the sizes of what will be staged in /code
	// and /input; those file systems are made to fit it.
	CodeBytes, InputBytes int64
}

// Sandbox is one that is ready: its init has said hello.
type Sandbox struct {
	engine.Sandbox
	Session *guest.Session
}

// Launch starts a sandbox from nothing. The caller destroys it.
func (s *Supplier) Launch(ctx context.Context, r Request) (_ *Sandbox, err error) {
	id, err := newID("")
	if err != nil {
		return nil, err
	}
	var undo lifecycle.Undo
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.Run())
		}
	}()
	sb, err := s.Engine.Launch(ctx, s.spec(id, r))
	if err != nil {
		return nil, launchError(err)
	}
	undo.Add(sb.Destroy)
	session := guest.NewSession(sb.Control())
	undo.Add(session.Close)
	if _, err := session.Handshake(ctx); err != nil {
		return nil, job.Errorf(job.KindEngine, "the sandbox's init does not answer: %w", err)
	}
	undo.Release()
	return &Sandbox{Sandbox: sb, Session: session}, nil
}

// Destroy ends the sandbox and removes all of it. It gives the session a
// moment to end: a taker of output that has stopped taking, a full pipe say,
// must not keep a dead sandbox's caller waiting.
func (s *Sandbox) Destroy() error {
	err := s.Sandbox.Destroy()
	closed := make(chan error, 1)
	go func() { closed <- s.Session.Close() }()
	const moment = time.Second
	select {
	case closeErr := <-closed:
		return errors.Join(err, closeErr)
	case <-time.After(moment):
		return err
	}
}

func launchError(err error) error {
	if errors.Is(err, engine.ErrUnenforceable) {
		return job.Errorf(job.KindUnavailable, "%w", err).
			WithHint("see `tako doctor` for the mend, or set security_mode: permissive to run with less")
	}
	if job.KindOf(err) == job.KindUnavailable {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return job.Errorf(job.KindEngine, "no sandbox could be started: %w", err).
		WithHint("see `tako doctor`")
}

// slack is what a file system needs beside the bytes of its files.
const slack = 1 << 20

// spec is the shape of a sandbox. What user code may write is sized by its
// limits; what it may only read, by what is staged.
func (s *Supplier) spec(id string, r Request) engine.Spec {
	l := r.Limits
	return engine.Spec{
		ID:       id,
		Image:    r.Environment.Image,
		Init:     s.Init,
		Args:     []string{engine.InitDir + "/init"},
		Env:      []string{},
		Dir:      "/",
		Hostname: "tako",
		Tmpfs: []engine.Tmpfs{
			{Path: TmpDir, Size: l.Disk, Mode: 0o1777, NoExec: true},
			{Path: OutputDir, Size: l.Disk, Mode: 0o777},
			{Path: AppDir, Size: l.Disk, Mode: 0o755, UID: UID, GID: GID},
			{Path: CodeDir, Size: r.CodeBytes + slack, Mode: 0o755},
			{Path: InputDir, Size: r.InputBytes + slack, Mode: 0o755},
			{Path: "/dev/shm", Size: l.Shm, Mode: 0o1777, NoExec: true},
		},
		Files:      l.Files,
		Memory:     l.Memory,
		CPUs:       l.CPUs,
		Tasks:      l.PIDs,
		Permissive: s.Permissive,
	}
}

// Describe is one line about a sandbox's end that nobody asked for.
func Describe(exit engine.Exit) string {
	switch exit.Cause {
	case engine.CauseMemory:
		return "the memory limit was hit"
	case engine.CauseEngine:
		return fmt.Sprintf("the sandbox's process died: %s", exit.Detail)
	}
	return string(exit.Cause)
}
