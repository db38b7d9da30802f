package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// trivial is the job that is timed.
const trivial = "print(1+1)"

// session is one invocation of the bench.
type session struct {
	out    io.Writer
	report report
	tako   string
	dir    string // everything temporary
	data   string // tako's data directory, below dir
	pids   map[int]bool
}

// prepare finds the binary and has it pack its environment.
func prepare(ctx context.Context, o options, out io.Writer) (_ *session, err error) {
	s := &session{out: out, tako: o.tako, pids: map[int]bool{}}
	if s.tako == "" {
		root, err := moduleRoot(ctx)
		if err != nil {
			return nil, err
		}
		s.tako = filepath.Join(root, "bin", "tako")
	}
	if s.tako, err = filepath.Abs(s.tako); err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.tako); err != nil {
		return nil, fmt.Errorf("%w; make build makes it", err)
	}
	if s.dir, err = os.MkdirTemp("", "tako-bench-"); err != nil {
		return nil, err
	}
	s.data = filepath.Join(s.dir, "data")
	s.report.Machine = describeMachine()
	s.printf("%s\n", s.report.Machine)
	if err := s.pack(ctx); err != nil {
		os.RemoveAll(s.dir)
		return nil, err
	}
	return s, nil
}

// pack runs one job, which packs the environment, and times it.
func (s *session) pack(ctx context.Context) error {
	r, err := s.run(ctx, s.takoCommand("-q", "-c", trivial))
	if err != nil {
		return fmt.Errorf("the first run, which packs the environment: %w", err)
	}
	if err := r.answered(); err != nil {
		return fmt.Errorf("the first run, which packs the environment: %w", err)
	}
	s.report.PackSeconds = r.Wall.Seconds()
	s.printf("first run, environment packed: %.1f s wall, %.1f s CPU\n", r.Wall.Seconds(), r.CPU.Seconds())
	return nil
}

func (s *session) close() error { return os.RemoveAll(s.dir) }

func (s *session) printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// takoCommand is tako run with args, away from any configuration of the user.
func (s *session) takoCommand(args ...string) command {
	return command{
		path:  s.tako,
		args:  append([]string{"run"}, args...),
		dir:   s.dir,
		env:   append(s.environ(), "TAKO_VM_DATA_DIR="+s.data),
		limit: 2 * time.Minute,
	}
}

func (s *session) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
}

// run runs c and remembers its process, whose leftovers are looked for later.
func (s *session) run(ctx context.Context, c command) (measured, error) {
	m, err := c.run(ctx)
	if m.PID != 0 && c.path == s.tako {
		s.pids[m.PID] = true
	}
	return m, err
}

// answered is an error unless the trivial job gave its answer.
func (m measured) answered() error {
	if m.ExitCode != 0 || strings.TrimSpace(string(m.Stdout)) != "2" {
		return fmt.Errorf("exit code %d, printed %q, said %q", m.ExitCode, m.Stdout, m.Stderr)
	}
	return nil
}
