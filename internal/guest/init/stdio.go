package main

import (
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// output is one of the program's two, read through a pipe.
type output struct {
	fd      int
	open    bool
	discard bool // the host wants no more of it; it is still counted
	kind    wire.Type
	total   uint64
	drained int // bytes read after the program's end
}

// dropped is where discarded output goes.
var dropped [64 << 10]byte

// pumpBoth moves one piece of each output that is ready. The one that goes
// first alternates, since the second often finds the socket full.
func (g *guest) pumpBoth(ready0, ready1 bool) {
	p := &g.program
	ready := [2]bool{ready0, ready1}
	for i := range 2 {
		if n := (p.turn + i) % 2; ready[n] {
			p.outputs[n].pump(&g.out)
			g.out.flush() // a lost host is noticed at the next turn
		}
	}
	p.turn ^= 1
}

// pump moves one piece, unless the last one is still on its way. It returns
// how much, 0 at the end and -1 when there is nothing now.
func (s *output) pump(out *outbox) int {
	if !s.open || !s.discard && !out.empty() {
		return -1
	}
	room := dropped[:]
	if !s.discard {
		room = out.space()[wire.HeaderSize:]
	}
	n, errno := read(s.fd, room)
	if errno == syscall.EAGAIN {
		return -1
	}
	if errno != 0 || n == 0 {
		s.close()
		return 0
	}
	s.total += uint64(n)
	if !s.discard {
		out.commit(s.kind, n)
	}
	return n
}

// finish empties the pipe after everybody who could write to it is dead. An
// empty pipe is then the end, even where a survivor holds it open.
func (s *output) finish(out *outbox) {
	for s.open && (s.discard || out.empty()) {
		n := s.pump(out)
		s.drained += max(n, 0)
		if n < 0 || s.drained > drainBound {
			s.close()
		}
		out.flush()
	}
}

func (s *output) close() {
	if s.open {
		syscall.Close(s.fd)
		s.open = false
	}
}

func (g *guest) discard(payload []byte) error {
	var m wire.Discard
	if err := m.Decode(payload); err != nil {
		return err
	}
	g.program.outputs[m.Stream-wire.Stdout].discard = true
	return nil
}

// stdin is the program's input on its way from the socket to the pipe. The
// host never has more than a window under way, so it always fits.
type stdin struct {
	fd         int
	open       bool
	eof        bool // close when everything is written
	credit     int  // what the host may still send
	written    int  // not credited yet
	start, end int  // what is not written yet, in pending
}

// pending is the input that the pipe had no room for.
var pending [wire.StdinWindow]byte

// events are what the loop waits for: room in the pipe, or only that the
// program closed its end, which poll reports unasked.
func (s *stdin) events() int16 {
	if s.start < s.end {
		return pollOut
	}
	return 0
}

// stdinFrame takes input. After the program's end, or when it has closed its
// input, what was under way is dropped.
func (g *guest) stdinFrame(t wire.Type, payload []byte) error {
	s := &g.program.stdin
	if g.program.phase < running {
		return wire.ErrValue
	}
	if !s.open {
		return nil
	}
	if s.eof || len(payload) > s.credit || t == wire.TypeStdinEOF && len(payload) != 0 {
		return wire.ErrValue
	}
	s.credit -= len(payload)
	s.end = copy(pending[:], pending[s.start:s.end])
	s.start = 0
	s.end += copy(pending[s.end:], payload)
	s.eof = t == wire.TypeStdinEOF
	return g.feed()
}

// feed writes what the pipe takes and lets the host send as much again.
func (g *guest) feed() error {
	s := &g.program.stdin
	if !s.open {
		return nil
	}
	if !s.push() {
		s.close()
		return g.answer(wire.AppendEmpty(nil, wire.TypeStdinClosed))
	}
	if s.start == s.end && s.eof {
		s.close()
		return nil
	}
	if s.written >= wire.StdinWindow/4 || s.written > 0 && s.start == s.end {
		n := s.written
		s.credit, s.written = s.credit+n, 0
		return g.answer(wire.StdinCredit{Bytes: uint32(n)}.Append(nil))
	}
	return nil
}

// push reports false when the program has closed its input.
func (s *stdin) push() bool {
	for s.start < s.end {
		n, errno := write(s.fd, pending[s.start:s.end])
		if errno == syscall.EAGAIN {
			return true
		}
		if errno != 0 {
			return false
		}
		s.start += n
		s.written += n
	}
	return !s.abandoned()
}

// abandoned reports whether nobody can read the pipe any more.
func (s *stdin) abandoned() bool {
	fds := [1]pollFD{{fd: int32(s.fd)}}
	poll(fds[:], 0)
	return fds[0].revents != 0
}

func (s *stdin) close() {
	if s.open {
		syscall.Close(s.fd)
		s.open = false
	}
}
