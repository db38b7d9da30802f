package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// command is a process to be measured.
type command struct {
	path  string
	args  []string
	dir   string
	env   []string
	limit time.Duration // then it is killed
	peak  bool          // sample the process's own peak RSS
}

func (c command) String() string {
	words := []string{c.path}
	for _, a := range c.args {
		if strings.ContainsAny(a, " ()") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// measured is what one process took.
type measured struct {
	PID            int
	ExitCode       int // as a shell has it
	Stdout, Stderr []byte
	Wall           time.Duration // monotonic, from before fork to the end of wait and of its output
	// CPU is the processor time of the process and of all its descendants,
	// whether anybody waited for them or not.
	CPU time.Duration
	// Reaped is what wait4(2) has: the process and the descendants that were
	// waited for. A sandbox's are, by tako and by runsc alike, so that it agrees
	// with CPU; one that does not shows that somebody was not waited for.
	Reaped time.Duration
	Peak   int64 // bytes; VmHWM of the process alone
}

// run runs the command to its end. The error is not nil when it could not be
// run or had to be killed; an exit code is no error.
func (c command) run(ctx context.Context) (measured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second

	// The counter belongs to a thread and its children: start on that thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	clock := openClock()
	defer clock.close()

	var m measured
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return m, err
	}
	peak := make(chan int64, 1)
	done := make(chan struct{})
	if c.peak {
		go func() { peak <- watchPeak(cmd.Process.Pid, done) }()
	}
	err := cmd.Wait()
	m.Wall = time.Since(begun)
	close(done)
	if c.peak {
		m.Peak = <-peak
	}
	m.PID, m.Stdout, m.Stderr = cmd.Process.Pid, stdout.Bytes(), stderr.Bytes()
	m.Reaped = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.CPU = m.Reaped
	if total, ok := clock.read(); ok {
		m.CPU = total
	}
	m.ExitCode = exitCode(cmd.ProcessState)
	if ctx.Err() != nil {
		return m, fmt.Errorf("%s: killed: %w", c, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return m, err
	}
	return m, nil
}

func exitCode(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// watchPeak reads VmHWM until the process is gone. It only grows, so that the
// last reading lacks no more than what was added within one period.
func watchPeak(pid int, done <-chan struct{}) int64 {
	const period = 10 * time.Millisecond
	tick := time.NewTicker(period)
	defer tick.Stop()
	var peak int64
	for {
		peak = max(peak, highWater(pid))
		select {
		case <-done:
			return peak
		case <-tick.C:
		}
	}
}

func highWater(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		value, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}
