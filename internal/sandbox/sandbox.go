// Package sandbox supplies ready sandboxes: it turns an environment and limits
// into an engine's spec, launches it and greets the init inside. It also keeps
// this process's home in the data directory and reclaims what dead processes
// have left.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// User code's identity inside every sandbox, but in those of images that have a
// user of their own: see User.
const (
	UID     = 1000
	GID     = 1000
	HomeDir = "/home/sandbox"
)

// User is whom user code is in an environment: never root.
func User(e environment.Environment) (uid, gid int) {
	if c := e.Config; c != nil && c.UID > 0 && c.GID > 0 {
		return c.UID, c.GID
	}
	return UID, GID
}

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
	// Snapshots, if not nil, are where sandboxes with a held program are
	// restored from.
	Snapshots *Snapshots
	// Pool, if not nil, has such sandboxes ready.
	Pool *Pool
	// Log is told why a snapshot was not used; default nobody.
	Log *slog.Logger
}

// Request says what a sandbox is for.
type Request struct {
	Environment environment.Environment
	Limits      job.Limits
	// CodeBytes and InputBytes are the sizes of what will be staged in /code
	// and /input; those file systems are made to fit it.
	CodeBytes, InputBytes int64
	// Held, if not nil, is the program that will run. The sandbox may come with
	// it, started and held at its script.
	Held *Held
	// Linked has the sandbox have a network, whose policy is attached to its link.
	Linked bool
	// Tenant, if not empty, is whose clones of one snapshot all are: others get
	// theirs from another.
	Tenant string
}

// Held is a program that can be started ahead of its script.
type Held struct {
	Program guest.Program
	Script  string // where it looks for its script
	// Preload, if not empty, is what the interpreter runs first: it is put where
	// environment.PreloadFile says.
	Preload string `json:",omitempty"`
}

// Sandbox is one that is ready: its init has said hello.
type Sandbox struct {
	engine.Sandbox
	Session *guest.Session
	// Held reports that the program of the request was started and is to be
	// released.
	Held   bool
	Supply job.Supply
	// Link is the network of one that was asked for linked, else nil. Until a
	// policy is attached nothing goes through.
	Link *egress.Link
}

// Launch starts a sandbox, from a snapshot where there is one. The caller
// destroys it.
func (s *Supplier) Launch(ctx context.Context, r Request) (*Sandbox, error) {
	if s.Snapshots != nil && r.Held != nil {
		box, err := s.ready(ctx, r)
		if err == nil || ctx.Err() != nil {
			return box, err
		}
		if s.Log != nil {
			s.Log.Debug("launching without a snapshot", "reason", err)
		}
	}
	return s.boot(ctx, r)
}

// ready takes a sandbox with the program held in it out of the pool, or restores
// one.
func (s *Supplier) ready(ctx context.Context, r Request) (*Sandbox, error) {
	key, err := s.key(r)
	if err == nil && r.Held.Preload != "" && s.Snapshots.recent(key+".failed") {
		held := *r.Held // what cannot be imported ahead is the job's own affair
		held.Preload, r.Held = "", &held
		key, err = s.key(r)
	}
	if err != nil {
		return nil, err
	}
	if box := s.pooled(ctx, key, r); box != nil {
		return box, nil
	}
	return s.restore(ctx, key, r)
}

// Warm has sandboxes of this shape made ready, if there is a pool.
func (s *Supplier) Warm(r Request, n int) error {
	if s.Pool == nil || s.Snapshots == nil || r.Held == nil {
		return nil
	}
	key, err := s.key(r)
	if err == nil {
		s.Pool.Warm(key, r, n)
	}
	return err
}

// Retire destroys a sandbox that nothing runs in any more. With a pool that
// happens while the caller goes on, and the error is the log's.
func (s *Supplier) Retire(box *Sandbox) error {
	if s.Pool == nil {
		return box.Destroy()
	}
	s.Pool.Retire(box)
	return nil
}

// boot starts a sandbox from nothing.
func (s *Supplier) boot(ctx context.Context, r Request) (*Sandbox, error) {
	return s.start(ctx, r, func(spec engine.Spec) (engine.Sandbox, error) { return s.Engine.Launch(ctx, spec) })
}

// start greets the init of the sandbox that launch starts.
func (s *Supplier) start(ctx context.Context, r Request, launch func(engine.Spec) (engine.Sandbox, error)) (_ *Sandbox, err error) {
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
	spec := s.spec(id, r)
	var link *egress.Link
	if r.Linked {
		var socket *os.File
		if link, socket, err = egress.NewLink(egress.LinkOptions{}); err != nil {
			return nil, err
		}
		undo.Add(link.Close)
		defer socket.Close() // the sandbox has its own by then
		spec.Link = linkOf(socket)
	}
	sb, err := launch(spec)
	if err != nil {
		return nil, launchError(err)
	}
	undo.Add(sb.Destroy)
	session := guest.NewSession(sb.Control())
	undo.Add(session.Close)
	hello, err := session.Handshake(ctx)
	if err != nil {
		return nil, job.Errorf(job.KindEngine, "the sandbox's init does not answer: %w", err)
	}
	box := &Sandbox{Sandbox: sb, Session: session, Held: hello.Held, Supply: job.SupplyRestore, Link: link}
	if !hello.Held {
		box.Supply = job.SupplyCold
		if err := furnish(ctx, session, r); err != nil {
			return nil, err
		}
	}
	undo.Release()
	return box, nil
}

// furnish makes the directories in which libraries keep what they compute;
// matplotlib warns without its own.
func furnish(ctx context.Context, session *guest.Session, r Request) error {
	uid, gid := User(r.Environment)
	for _, dir := range []string{"/tmp/.cache", "/tmp/.cache/matplotlib"} {
		if err := session.Mkdir(ctx, dir, 0o755, uid, gid); err != nil {
			return fmt.Errorf("making %s: %w", dir, err)
		}
	}
	return nil
}

// Destroy ends the sandbox and removes all of it. It gives the session a
// moment to end: a taker of output that has stopped taking, a full pipe say,
// must not keep a dead sandbox's caller waiting.
func (s *Sandbox) Destroy() error {
	err := s.Sandbox.Destroy()
	if s.Link != nil {
		err = errors.Join(err, s.Link.Close())
	}
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

// linkOf is the sandbox's end of a link.
func linkOf(socket *os.File) *engine.Link {
	return &engine.Link{
		Socket: socket, MTU: egress.MTU,
		Address: netip.PrefixFrom(netip.MustParseAddr(egress.GuestIP), egress.PrefixLen),
		Gateway: netip.MustParseAddr(egress.GatewayIP),
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

// room is the size of a file system for so many bytes of files and what it
// needs beside them: 4 MiB or the next power of two, so that sandboxes for
// ordinary jobs have one shape.
func room(bytes int64) int64 {
	const slack = 1 << 20
	size := int64(4 << 20)
	for size < bytes+slack {
		size *= 2
	}
	return size
}

// spec is the shape of a sandbox. What user code may write is sized by its
// limits; what it may only read, by what is staged.
func (s *Supplier) spec(id string, r Request) engine.Spec {
	l := r.Limits
	uid, gid := User(r.Environment)
	var layers []engine.Layer
	if p := r.Environment.Packages; p != nil {
		layers = append(layers, engine.Layer{Path: environment.PackagesDir, Image: p.Image})
	}
	return engine.Spec{
		ID:       id,
		Image:    r.Environment.Image,
		Layers:   layers,
		Init:     s.Init,
		Args:     []string{engine.InitDir + "/init"},
		Env:      []string{},
		Dir:      "/",
		Hostname: "tako-" + id,
		Tmpfs: []engine.Tmpfs{
			{Path: TmpDir, Size: l.Disk, Mode: 0o1777, NoExec: true},
			{Path: OutputDir, Size: l.Disk, Mode: 0o777},
			{Path: AppDir, Size: l.Disk, Mode: 0o755, UID: uid, GID: gid},
			{Path: CodeDir, Size: room(r.CodeBytes), Mode: 0o755},
			{Path: InputDir, Size: room(r.InputBytes), Mode: 0o755},
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
