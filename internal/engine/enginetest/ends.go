package enginetest

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/engine"
)

func (s *suite) waitSame(t *testing.T) {
	_, sb := s.start(t)
	exits := make([]engine.Exit, 8)
	var wg sync.WaitGroup
	for i := range exits {
		wg.Go(func() { exits[i] = ended(t, sb) })
	}
	if err := sb.Destroy(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for _, e := range exits {
		if e != exits[0] {
			t.Errorf("one caller got %+v, another %+v", exits[0], e)
		}
	}
}

// ended waits for the sandbox's end.
func ended(t *testing.T, sb engine.Sandbox) engine.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exit, err := sb.Wait(ctx)
	if err != nil {
		t.Errorf("wait: %v", err)
	}
	return exit
}

func (s *suite) waitContext(t *testing.T) {
	_, sb := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sb.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a dead context: %v", err)
	}
}

func (s *suite) stats(t *testing.T) {
	_, sb := s.start(t)
	before, err := sb.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	python(t, greet(t, sb), "x = bytearray(b'x') * (64 << 20)")
	after, err := sb.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Permissive {
		return // nothing counts there
	}
	if after.CPUTime <= before.CPUTime {
		t.Errorf("processor time went from %v to %v", before.CPUTime, after.CPUTime)
	}
	if after.MemoryPeak < 64<<20 {
		t.Errorf("the peak is %d after 64 MiB were filled", after.MemoryPeak)
	}
}

func (s *suite) causeExit(t *testing.T) {
	_, sb := s.start(t)
	greet(t, sb).Close() // init exits when nobody talks to it
	if exit := ended(t, sb); exit.Cause != engine.CauseExit {
		t.Errorf("the end is %+v", exit)
	}
}

func (s *suite) causeDestroyed(t *testing.T) {
	_, sb := s.start(t)
	if err := sb.Destroy(); err != nil {
		t.Fatal(err)
	}
	if exit := ended(t, sb); exit.Cause != engine.CauseDestroyed {
		t.Errorf("the end is %+v", exit)
	}
}

func (s *suite) causeMemory(t *testing.T) {
	_, sb := s.start(t)
	p, err := sb.Exec(t.Context(), engine.ExecSpec{
		Args: []string{"/usr/bin/python3", "-c", "x = bytearray(b'x') * (2 << 30)"}, Dir: "/", UID: 1000, GID: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if exit := ended(t, sb); exit.Cause != engine.CauseMemory {
		t.Errorf("the end is %+v", exit)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := p.Wait(ctx); errors.Is(err, context.DeadlineExceeded) {
		t.Error("the wait for a program outlived its sandbox")
	}
}

// A sandbox whose own process dies is the engine's fault, whatever user code
// may have wanted its exit code to look like.
func (s *suite) causeEngine(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV} {
		_, sb := s.start(t)
		if err := syscall.Kill(s.HostPID(sb), sig); err != nil {
			t.Fatal(err)
		}
		exit := ended(t, sb)
		if exit.Cause != engine.CauseEngine || exit.Detail == "" {
			t.Errorf("after %v the end is %+v", sig, exit)
		}
	}
}

func (s *suite) destroyManyTimes(t *testing.T) {
	_, sb := s.start(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := sb.Destroy(); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	wg.Wait()
	if err := syscall.Kill(s.HostPID(sb), 0); s.HostPID(sb) > 0 && err == nil {
		t.Error("its process is still there")
	}
}
