package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/guest/wire"
)

// Program is what to run. It gets a session and process group of its own, no
// capability, no supplementary group, no way to gain privileges, descriptors
// 0, 1 and 2, default signal dispositions, umask 022 and no core dumps.
type Program struct {
	// Path is the absolute path of the executable; there is no search.
	Path string
	// Args are the arguments, the program's name first. Empty means Path alone.
	Args []string
	// Env holds KEY=value, all of it. Arguments and environment are together
	// at most 4,096 strings and 4 MiB, 64 KiB each.
	Env []string
	// Dir is the absolute working directory. Default "/".
	Dir string
	// UID and GID are at least 1.
	UID, GID int
	// Rlimits are set in this order, at most 16. A hard limit above the one
	// that init has cannot be set; what is not listed is init's own, but for
	// RLIMIT_CORE, which is 0.
	Rlimits []Rlimit
}

// Rlimit is one resource limit, in the kernel's numbers (unix.RLIMIT_NOFILE)
// and units; math.MaxUint64 is no limit.
type Rlimit struct {
	Resource   int
	Soft, Hard uint64
}

// Streams connect a program.
type Streams struct {
	// Stdin is copied to the program's input, as fast as it is read there; its
	// end closes the input. With nil the program reads /dev/null.
	Stdin io.Reader
	// Stdout and Stderr get what the program writes, in pieces of at most
	// 64 KiB, from one goroutine, one Write at a time; a slow Write slows the
	// program. An error ends the copying of that stream, not the program: it
	// is ErrDiscard or shows up in Exit.StreamErr. What is written to nil is
	// only counted.
	Stdout, Stderr io.Writer
}

// Usage is what the program and all its descendants used. It has the fields of
// the domain's Usage, so that one converts to the other.
type Usage struct {
	MaxRSS  int64         // bytes, of the largest process
	CPUTime time.Duration // user and system, of every process
	Wall    time.Duration // exec to exit, by the guest's monotonic clock
}

// Exit is how a program ended.
type Exit struct {
	// Status says whether it exited or which signal killed it.
	Status syscall.WaitStatus
	Usage  Usage
	// StdoutBytes and StderrBytes are what was written in all, what was
	// discarded included.
	StdoutBytes, StderrBytes int64
	// Empty reports that there was nothing in /output.
	Empty bool
	// Survivors reports that a process inside could not be killed in time.
	Survivors bool
	// StreamErr is what a stream's reader or writer failed with; the program
	// saw an early end of input, or its output was cut.
	StreamErr error
}

// Start runs p. It returns when exec has succeeded; an *ExecError says that it
// has not, and which step failed. Streams are in use from then on until the
// program has exited or the session has ended.
func (s *Session) Start(ctx context.Context, p Program, streams Streams) error {
	request, err := p.encode(streams, "")
	if err != nil {
		return fmt.Errorf("guest start: %w", err)
	}
	if err := s.startExchange(ctx, starting, p.Path, request, func() { s.attach(streams) }); err != nil {
		return s.wrap("start", err)
	}
	if streams.Stdin != nil {
		go s.feed(streams.Stdin)
	}
	return nil
}

// startExchange sends request and waits for what came of it. Prepare, if not
// nil, is called when it is this exchange's turn.
func (s *Session) startExchange(ctx context.Context, e exchange, path string, request []byte, prepare func()) error {
	if err := s.begin(ctx, e); err != nil {
		return err
	}
	defer s.done()
	if prepare != nil {
		prepare()
	}
	if err := s.sendOrFail(ctx, request); err != nil {
		return err
	}
	return s.startAnswer(ctx, path)
}

// startAnswer is what came of a request to start, hold or release a program.
func (s *Session) startAnswer(ctx context.Context, path string) error {
	f, err := s.next(ctx)
	if err != nil {
		return err
	}
	switch f.kind {
	case wire.TypeStartFailed:
		var m wire.StartFailed
		if err := s.decode(f, &m); err != nil {
			return err
		}
		return &ExecError{Path: path, Step: m.Stage.String(), Errno: errno(m.Errno)}
	case wire.TypeHeld:
		var m wire.Held
		return s.decode(f, &m)
	}
	if f.kind != wire.TypeStarted {
		return s.fail(violation(f.kind, "a start was to be answered"))
	}
	var m wire.Started
	return s.decode(f, &m)
}

// Wait returns the program's end, the same to every caller. It comes after
// everything the program left running was killed and all output was written
// to the streams. The end of ctx ends the call only.
func (s *Session) Wait(ctx context.Context) (Exit, error) {
	s.mu.Lock()
	started := s.program.started
	s.mu.Unlock()
	if !started {
		if err := s.reason(); err != nil {
			return Exit{}, s.wrap("wait", err)
		}
		return Exit{}, errors.New("guest wait: no program was started")
	}
	select {
	case <-s.program.exited:
	case <-ctx.Done():
		return Exit{}, s.wrap("wait", context.Cause(ctx))
	}
	s.mu.Lock()
	exit := s.program.exit
	s.mu.Unlock()
	if exit == nil {
		return Exit{}, s.wrap("wait", s.reason())
	}
	return *exit, nil
}

// Signal sends sig to the program, or with all to every process inside but
// init. It returns when the request is written, however much output is under
// way. For a program that has exited it does nothing.
func (s *Session) Signal(ctx context.Context, sig syscall.Signal, all bool) error {
	if sig < 1 || sig > 64 {
		return fmt.Errorf("guest signal: there is no signal %d", int(sig))
	}
	s.mu.Lock()
	started, running, err := s.program.started, s.program.running, s.err
	s.mu.Unlock()
	switch {
	case err != nil:
		return s.wrap("signal", err)
	case !started:
		return errors.New("guest signal: no program was started")
	case !running:
		return nil
	}
	return s.wrap("signal", s.send(ctx, wire.Signal{Signal: uint8(sig), All: all}.Append(nil)))
}

// encode checks p and makes the frames that run it.
func (p *Program) encode(streams Streams, hold string) ([]byte, error) {
	args, dir := p.Args, p.Dir
	if len(args) == 0 {
		args = []string{p.Path}
	}
	if dir == "" {
		dir = "/"
	}
	if err := p.check(args, dir); err != nil {
		return nil, err
	}
	if _, ok := wire.SplitPath(hold); hold != "" && !ok {
		return nil, fmt.Errorf("script %q: it must be in a directory that may be written", hold)
	}
	run := wire.Run{Path: p.Path, Dir: dir, Hold: hold, UID: uint32(p.UID), GID: uint32(p.GID), Stdin: streams.Stdin != nil,
		NArgs: uint16(len(args)), NEnv: uint16(len(p.Env))}
	if streams.Stdout == nil {
		run.Discard |= 1 << wire.Stdout
	}
	if streams.Stderr == nil {
		run.Discard |= 1 << wire.Stderr
	}
	for _, l := range p.Rlimits {
		run.Rlimits = append(run.Rlimits, wire.Rlimit{Resource: uint8(l.Resource), Soft: l.Soft, Hard: l.Hard})
	}
	frames := run.Append(nil)
	for _, arg := range args {
		frames = wire.AppendRaw(frames, wire.TypeArg, []byte(arg))
	}
	for _, env := range p.Env {
		frames = wire.AppendRaw(frames, wire.TypeEnv, []byte(env))
	}
	return frames, nil
}

func (p *Program) check(args []string, dir string) error {
	for name, path := range map[string]string{"path": p.Path, "directory": dir} {
		if !strings.HasPrefix(path, "/") || len(path) > wire.MaxPath || strings.ContainsRune(path, 0) {
			return fmt.Errorf("%s %q: it must be absolute, at most %d bytes, without NUL", name, path, wire.MaxPath)
		}
	}
	if p.UID < 1 || p.UID > math.MaxInt32 || p.GID < 1 || p.GID > math.MaxInt32 {
		return fmt.Errorf("uid %d, gid %d: both must be at least 1", p.UID, p.GID)
	}
	if len(p.Rlimits) > wire.MaxRlimits {
		return fmt.Errorf("%d resource limits: at most %d", len(p.Rlimits), wire.MaxRlimits)
	}
	for _, l := range p.Rlimits {
		if l.Resource < 0 || l.Resource > 15 || l.Soft > l.Hard {
			return fmt.Errorf("resource limit %d of %d, %d: no such limit, or soft above hard", l.Resource, l.Soft, l.Hard)
		}
	}
	if n := len(args) + len(p.Env); n > wire.MaxStrings {
		return fmt.Errorf("%d arguments and variables: at most %d", n, wire.MaxStrings)
	}
	total := 0
	for _, list := range [][]string{args, p.Env} {
		for _, text := range list {
			total += len(text) + 1
			if len(text) > wire.MaxPayload || total > wire.MaxStringBytes || strings.ContainsRune(text, 0) {
				return errors.New("an argument or variable has a NUL or is too long")
			}
		}
	}
	return nil
}
