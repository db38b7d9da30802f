package gvisor

import (
	"fmt"
	"os"
	"sync"
)

// closedStdio lends gVisor dead pipes for the moment of a launch.
//
// gVisor gives whatever os.Stdin, os.Stdout and os.Stderr are to the first
// program inside a sandbox, and as root changes their owner to nobody: that
// must be neither the user's terminal nor /dev/null. So during a launch these
// variables stand for pipes whose other ends are closed: reading gives end of
// file, writing EPIPE. Code that runs beside an engine keeps its own copies of
// the three, taken before the first launch.
type closedStdio struct {
	in, out *os.File

	mu       sync.Mutex
	launches int
	saved    [3]*os.File
}

func newClosedStdio() (*closedStdio, error) {
	in, err := deadPipe(true)
	if err != nil {
		return nil, fmt.Errorf("making the sandbox's stdin: %w", err)
	}
	out, err := deadPipe(false)
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("making the sandbox's stdout: %w", err)
	}
	return &closedStdio{in: in, out: out}, nil
}

// deadPipe is one end of a pipe whose other end is closed: for reading it is
// at its end, for writing it answers EPIPE.
func deadPipe(reading bool) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if reading {
		w.Close()
		return r, nil
	}
	r.Close()
	return w, nil
}

// lend swaps the variables for as long as any launch is under way. The
// returned function ends this launch's share.
func (s *closedStdio) lend() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.launches == 0 {
		s.saved = [3]*os.File{os.Stdin, os.Stdout, os.Stderr}
		os.Stdin, os.Stdout, os.Stderr = s.in, s.out, s.out
	}
	s.launches++
	return s.giveBack
}

func (s *closedStdio) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.launches--
	if s.launches == 0 {
		os.Stdin, os.Stdout, os.Stderr = s.saved[0], s.saved[1], s.saved[2]
	}
}

func (s *closedStdio) close() {
	s.in.Close()
	s.out.Close()
}
