package gvisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/sentry/control"
	"gvisor.dev/gvisor/pkg/sentry/kernel/auth"
	"gvisor.dev/gvisor/pkg/state/statefile"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/container"
	runsc "gvisor.dev/gvisor/runsc/sandbox"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
)

// sandbox is one Sentry process and what belongs to it on the host.
type sandbox struct {
	id         string
	engine     *Engine
	conf       *config.Config
	container  *container.Container // for Destroy alone: its methods are not for several goroutines
	sentry     *runsc.Sandbox       // what every other call goes to
	control    net.Conn
	group      *cgroup.Group // nil where there are no cgroups
	sampler    *sampler      // nil where a cgroup holds the memory limit
	unenforced []string
	crashLog   string // where the Sentry writes what it dies of

	pid       atomic.Int64 // of the Sentry; 0 before it runs and after it was reaped
	pidfd     atomic.Pointer[os.File]
	destroyed atomic.Bool
	outOfMem  atomic.Bool

	done chan struct{} // closed when the Sentry is dead and exit is set
	exit engine.Exit

	once       sync.Once
	destroyErr error
	release    func() error // everything that boot acquired
}

func (s *sandbox) ID() string           { return s.id }
func (s *sandbox) Control() net.Conn    { return s.control }
func (s *sandbox) Unenforced() []string { return s.unenforced }

func (s *sandbox) closeControl() error {
	s.control.Close() // a second close is not a fault
	return nil
}

// Exec starts one more program inside.
func (s *sandbox) Exec(ctx context.Context, spec engine.ExecSpec) (engine.Process, error) {
	if s.ended() {
		return nil, engine.ErrGone
	}
	files, closeFiles, err := stdioFiles(spec)
	if err != nil {
		return nil, err
	}
	defer closeFiles()
	pid, err := s.sentry.Execute(s.conf, &control.ExecArgs{
		ContainerID:      s.id,
		Filename:         spec.Args[0],
		Argv:             spec.Args,
		Envv:             spec.Env,
		WorkingDirectory: spec.Dir,
		KUID:             auth.KUID(spec.UID),
		KGID:             auth.KGID(spec.GID),
		NoNewPrivileges:  true,
		Capabilities:     &auth.TaskCapabilities{},
		FilePayload:      control.NewFilePayload(files, nil),
	})
	if err != nil {
		return nil, fmt.Errorf("executing %s in the sandbox: %w", spec.Args[0], err)
	}
	return &process{sandbox: s, pid: pid}, nil
}

// stdioFiles are copies of the three streams. gVisor changes the owner of what
// it is given, so a nil stream is a dead pipe, never the host's /dev/null.
func stdioFiles(spec engine.ExecSpec) (map[int]*os.File, func(), error) {
	files := map[int]*os.File{}
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for fd, f := range []*os.File{spec.Stdin, spec.Stdout, spec.Stderr} {
		var err error
		if f == nil {
			files[fd], err = deadPipe(fd == 0)
		} else {
			files[fd], err = duplicate(f)
		}
		if err != nil {
			delete(files, fd)
			closeAll()
			return nil, nil, fmt.Errorf("making the streams of a program: %w", err)
		}
	}
	return files, closeAll, nil
}

// duplicate copies f for a program inside. Fd makes it blocking, copies and
// all, as programs expect of their streams.
func duplicate(f *os.File) (*os.File, error) {
	dup, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), f.Name()), nil
}

// Signal sends sig to every process inside.
func (s *sandbox) Signal(_ context.Context, sig syscall.Signal) error {
	if s.ended() {
		return engine.ErrGone
	}
	if err := s.sentry.SignalContainer(s.id, sig, true); err != nil {
		return fmt.Errorf("sending %v to the sandbox: %w", sig, err)
	}
	return nil
}

// Stats reads the cgroup's counters, or the sampler's where there is none.
func (s *sandbox) Stats(context.Context) (engine.Stats, error) {
	var st engine.Stats
	if s.group != nil {
		counted := s.group.Stats()
		st = engine.Stats{Memory: counted.Memory, MemoryPeak: counted.MemoryPeak, CPUTime: counted.CPUTime, OOMKills: counted.OOMKills}
	}
	if s.sampler != nil {
		st.MemoryPeak = s.sampler.peak.Load()
	}
	if s.outOfMem.Load() {
		st.OOMKills = max(st.OOMKills, 1)
	}
	return st, nil
}

// ForgetPeak begins the counting of the peak anew.
func (s *sandbox) ForgetPeak() {
	if s.group != nil {
		s.group.ForgetPeak()
	}
	if s.sampler != nil {
		s.sampler.peak.Store(0)
	}
}

// Checkpoint writes the sandbox to dir and ends it.
func (s *sandbox) Checkpoint(_ context.Context, dir string) (engine.Snapshot, error) {
	if s.ended() {
		return engine.Snapshot{}, engine.ErrGone
	}
	s.destroyed.Store(true) // a checkpointed sandbox exits; we asked for it
	opts := runsc.CheckpointOpts{Compression: statefile.CompressionLevelNone}
	if err := s.sentry.Checkpoint(s.conf, s.id, dir, opts); err != nil {
		return engine.Snapshot{}, errors.Join(fmt.Errorf("checkpointing the sandbox: %w", err), s.Destroy())
	}
	return engine.Snapshot{Dir: dir}, s.Destroy()
}

// Destroy ends the sandbox and releases everything of it.
func (s *sandbox) Destroy() error {
	s.once.Do(func() {
		s.destroyed.Store(true)
		s.kill()
		<-s.done
		s.destroyErr = s.release()
	})
	return s.destroyErr
}

// destroyContainer lets gVisor remove its state, the Sentry being dead.
func (s *sandbox) destroyContainer() error {
	if err := s.container.Destroy(); err != nil {
		return fmt.Errorf("removing the sandbox's state: %w", err)
	}
	return nil
}

func (s *sandbox) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// process is a program started by Exec.
type process struct {
	sandbox *sandbox
	pid     int32
}

func (p *process) PID() int { return int(p.pid) }

// Wait asks the Sentry, in a goroutine of its own: the call ends with the
// process or with the sandbox.
func (p *process) Wait(ctx context.Context) (syscall.WaitStatus, error) {
	type result struct {
		status unix.WaitStatus
		err    error
	}
	c := make(chan result, 1)
	go func() {
		ws, err := p.sandbox.sentry.WaitPID(p.sandbox.id, p.pid)
		c <- result{ws, err}
	}()
	select {
	case r := <-c:
		if r.err != nil && p.sandbox.ended() {
			return 0, engine.ErrGone
		}
		return syscall.WaitStatus(r.status), r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
