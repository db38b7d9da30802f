package gvisor

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
	"github.com/takovm/tako/internal/engine/crash"
	"github.com/takovm/tako/internal/lifecycle"
)

// watch starts the two goroutines of a sandbox: one waits for the Sentry's
// death, one for the memory limit, in bytes.
func (s *sandbox) watch(limit int64, undo *lifecycle.Undo) error {
	if err := s.watchMemory(limit, undo); err != nil {
		return err
	}
	go s.waitDead(s.pidfd.Load())
	return nil
}

// openPidfd makes the Sentry addressable, be its number used again or not.
func (s *sandbox) openPidfd(undo *lifecycle.Undo) error {
	pidfd, err := unix.PidfdOpen(int(s.pid.Load()), unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching the sandbox's process: %w", err)
	}
	file := os.NewFile(uintptr(pidfd), "sandbox pidfd")
	s.pidfd.Store(file)
	undo.Add(file.Close)
	return nil
}

// watchMemory ends a sandbox at its memory limit. Where a cgroup holds the
// limit, the kernel has by then chosen some process of it, and what is left
// would limp on without that one.
func (s *sandbox) watchMemory(limit int64, undo *lifecycle.Undo) error {
	exceeded := func() {
		s.outOfMem.Store(true)
		s.kill()
	}
	if !s.engine.opts.Cgroups.Has(cgroup.Memory) {
		m, err := s.newSampler(limit)
		if err != nil {
			return err
		}
		s.sampler = m
		go m.run(int(s.pid.Load()), s.done, exceeded)
		return nil
	}
	watch, err := s.group.WatchOOM()
	if err != nil {
		return err
	}
	undo.Add(func() error { watch.Stop(); return nil })
	go func() {
		select {
		case <-watch.C:
			exceeded()
		case <-s.done:
		}
	}()
	return nil
}

// waitDead waits in the runtime's poller, not in a thread: a pidfd becomes
// readable when its process is dead (pidfd_open(2)).
func (s *sandbox) waitDead(pidfd *os.File) {
	raw, err := pidfd.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(fds, 0)
			return err == nil && n > 0
		})
	}
	if err != nil {
		s.engine.opts.Log.Error("waiting for a sandbox", "sandbox", s.id, "error", err)
		s.kill()
	}
	status, waitErr := s.sentry.Wait(s.id) // reaps it, at once
	s.pid.Store(0)
	s.exit = s.causeOf(syscall.WaitStatus(status), waitErr)
	close(s.done)
}

// causeOf decides why the Sentry is dead, from what we did and what the kernel
// counted. Only init's own exit with 0 is an exit; every other end that nobody
// asked for is the engine's.
func (s *sandbox) causeOf(status syscall.WaitStatus, waitErr error) engine.Exit {
	stats, _ := s.Stats(context.Background())
	switch {
	case s.outOfMem.Load() || stats.OOMKills > 0:
		return engine.Exit{Cause: engine.CauseMemory}
	case s.destroyed.Load():
		return engine.Exit{Cause: engine.CauseDestroyed}
	case waitErr != nil:
		return engine.Exit{Cause: engine.CauseEngine, Detail: "its exit status was lost: " + waitErr.Error()}
	case status.Signaled():
		return engine.Exit{Cause: engine.CauseEngine, Detail: s.died("killed by " + unix.SignalName(status.Signal()))}
	case status.ExitStatus() != 0:
		return engine.Exit{Cause: engine.CauseEngine, Detail: s.died(fmt.Sprintf("exited with %d", status.ExitStatus()))}
	}
	return engine.Exit{Cause: engine.CauseExit}
}

// died adds the Sentry's last words to how it ended.
func (s *sandbox) died(how string) string {
	if said := crash.LastWords(s.crashLog); said != "" {
		return how + ": " + said
	}
	return how
}

// Wait blocks until the sandbox has ended.
func (s *sandbox) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-s.done: // also when ctx has ended: that is how to ask without waiting
		return s.exit, nil
	default:
	}
	select {
	case <-s.done:
		return s.exit, nil
	case <-ctx.Done():
		return engine.Exit{}, ctx.Err()
	}
}

// kill sends SIGKILL to every process of the sandbox on the host.
func (s *sandbox) kill() {
	if file := s.pidfd.Load(); file != nil {
		s.killSentry(file)
		return
	}
	if s.group == nil {
		return
	}
	if err := s.group.Kill(); err != nil {
		s.engine.opts.Log.Error("killing a sandbox", "sandbox", s.id, "error", err)
	}
}

// killSentry kills the Sentry, and with it its children, which are in its pid
// namespace. Through the pidfd it can hit nobody else, and nobody at all once
// it was reaped.
func (s *sandbox) killSentry(pidfd *os.File) {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return // closed: it is dead
	}
	if ctlErr := raw.Control(func(fd uintptr) {
		err = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0)
	}); ctlErr == nil && err != nil && err != unix.ESRCH {
		s.engine.opts.Log.Error("killing a sandbox", "sandbox", s.id, "error", err)
	}
}
