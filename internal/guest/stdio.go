package guest

import (
	"context"
	"errors"
	"io"
	"math"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/guest/wire"
)

// program is the session's view of the one program. The session's mutex
// guards held, started, running, exit, credit and closed; the rest belongs to the
// reader from Started on.
type program struct {
	held             bool // it was started and waits for its script
	started, running bool
	exit             *Exit         // set with exited, nil if the session ended first
	exited           chan struct{} // closed at the end of either

	credit   int           // bytes of input that may be sent
	underway int           // bytes that were sent and not credited again
	closed   bool          // the program takes no more input
	wake     chan struct{} // holds a token when credit or closed changed

	writers  [2]io.Writer
	received [2]int64
	err      error // of a stream
}

// attach prepares for a start.
func (s *Session) attach(streams Streams) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.program
	p.writers = [2]io.Writer{streams.Stdout, streams.Stderr}
	p.credit, p.underway = 0, 0
	if streams.Stdin != nil {
		p.credit = wire.StdinWindow
	}
}

// programFrame handles what a running program causes. It runs on the reader.
func (s *Session) programFrame(f frame) error {
	s.mu.Lock()
	running := s.program.running
	s.mu.Unlock()
	if !running {
		return violation(f.kind, "no program is running")
	}
	switch f.kind {
	case wire.TypeStdout:
		return s.output(wire.Stdout, f)
	case wire.TypeStderr:
		return s.output(wire.Stderr, f)
	case wire.TypeExited:
		return s.finish(f)
	}
	return s.inputFrame(f)
}

// output passes a piece on. Init may still send some after it was told to
// discard; that is dropped here.
func (s *Session) output(stream wire.Stream, f frame) error {
	p, i := &s.program, stream-wire.Stdout
	if len(f.payload) == 0 {
		return violation(f.kind, "empty")
	}
	p.received[i] += int64(len(f.payload))
	if p.writers[i] == nil {
		return nil
	}
	_, err := p.writers[i].Write(f.payload)
	if err == nil {
		return nil
	}
	p.writers[i] = nil
	if !errors.Is(err, ErrDiscard) {
		s.streamFailed(err)
	}
	// The writer takes it when it can; this goroutine has more to read.
	select {
	case s.writes <- outgoing{bytes: wire.Discard{Stream: stream}.Append(nil), done: make(chan struct{})}:
		return nil
	case <-s.dead:
		return s.reason()
	}
}

func (s *Session) streamFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program.err = errors.Join(s.program.err, err)
}

// inputFrame notes what the program has taken of its input.
func (s *Session) inputFrame(f frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.program
	if f.kind == wire.TypeStdinClosed {
		if len(f.payload) != 0 || p.closed {
			return violation(f.kind, "twice, or not empty")
		}
		p.closed = true
	} else {
		var m wire.StdinCredit
		if err := m.Decode(f.payload); err != nil {
			return violation(f.kind, "%v", err)
		}
		if m.Bytes == 0 || int64(m.Bytes) > int64(p.underway) {
			return violation(f.kind, "%d bytes of %d under way", m.Bytes, p.underway)
		}
		p.underway -= int(m.Bytes)
		p.credit += int(m.Bytes)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// feed copies r to the program's input, no faster than it is read there.
func (s *Session) feed(r io.Reader) {
	for {
		n := s.allowance()
		if n == 0 {
			return
		}
		b := make([]byte, wire.HeaderSize+n)
		got, err := r.Read(b[wire.HeaderSize:])
		if got > 0 {
			s.spend(got)
			wire.PutHeader(b, wire.TypeStdin, got)
			if s.send(context.Background(), b[:wire.HeaderSize+got]) != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.streamFailed(err)
			}
			s.send(context.Background(), wire.AppendEmpty(nil, wire.TypeStdinEOF)) //nolint:errcheck // the session has ended then
			return
		}
	}
}

// allowance waits until input may be sent and says how much; 0 is none ever.
func (s *Session) allowance() int {
	p := &s.program
	for {
		s.mu.Lock()
		credit, over := p.credit, p.closed || !p.running || s.err != nil
		s.mu.Unlock()
		switch {
		case over:
			return 0
		case credit > 0:
			return min(credit, wire.MaxPayload)
		}
		select {
		case <-p.wake:
		case <-p.exited:
		case <-s.dead:
		}
	}
}

func (s *Session) spend(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program.credit -= n
	s.program.underway += n
}

// finish checks the end that init reports and publishes it.
func (s *Session) finish(f frame) error {
	var m wire.Exited
	if err := m.Decode(f.payload); err != nil {
		return violation(f.kind, "%v", err)
	}
	status := syscall.WaitStatus(m.Status)
	if !status.Exited() && !status.Signaled() || m.Status > 0xffff {
		return violation(f.kind, "wait status %#x", m.Status)
	}
	for _, v := range [...]uint64{m.UserNanos, m.SystemNanos, m.MaxRSS, m.WallNanos, m.Stdout, m.Stderr} {
		if v > math.MaxInt64/2 {
			return violation(f.kind, "%d is out of range", v)
		}
	}
	if got := s.program.received; got[0] > int64(m.Stdout) || got[1] > int64(m.Stderr) {
		return violation(f.kind, "more output than it says was written")
	}
	s.endProgram(&Exit{
		Status: status,
		Usage: Usage{
			MaxRSS:  int64(m.MaxRSS),
			CPUTime: time.Duration(m.UserNanos) + time.Duration(m.SystemNanos),
			Wall:    time.Duration(m.WallNanos),
		},
		StdoutBytes: int64(m.Stdout),
		StderrBytes: int64(m.Stderr),
		Empty:       m.Empty,
		Survivors:   m.Survivors,
	})
	return nil
}

// endProgram lets everybody know that nothing more comes. It runs on the
// reader, with nil when the session ends.
func (s *Session) endProgram(exit *Exit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.program
	select {
	case <-p.exited:
		return
	default:
	}
	p.running = false
	if exit != nil {
		exit.StreamErr = p.err
	}
	p.exit = exit
	close(p.exited)
}
