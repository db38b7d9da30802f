package guest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/takovm/tako/internal/guest/wire"
)

// frame is one message as it came.
type frame struct {
	kind    wire.Type
	payload []byte
}

// outgoing is one or more frames for the writer.
type outgoing struct {
	bytes []byte
	done  chan<- struct{} // closed when they are written
}

// write is the one owner of writes. A frame that it took is written in full,
// whatever becomes of whoever sent it, or the session ends.
func (s *Session) write() {
	for {
		select {
		case out := <-s.writes:
			if _, err := s.conn.Write(out.bytes); err != nil {
				s.lastWords(err)
				return
			}
			close(out.done)
		case <-s.dead:
			return
		}
	}
}

// lastWords gives the reader time to find out why nobody listens any more: an
// init that gave up has said so before it went.
func (s *Session) lastWords(cause error) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		s.lost(cause)
	case <-s.dead:
	}
}

// send hands b to the writer and waits until it is written. If ctx ends
// before, b may have been written or not; b must not be used again.
func (s *Session) send(ctx context.Context, b []byte) error {
	done := make(chan struct{})
	select {
	case s.writes <- outgoing{bytes: b, done: done}:
	case <-s.dead:
		return s.reason()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-s.dead:
		return s.reason()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sendOrFail is send for the inside of an exchange, which has no other way out.
func (s *Session) sendOrFail(ctx context.Context, b []byte) error {
	err := s.send(ctx, b)
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// read is the one reader. What belongs to the program it handles itself, the
// rest it gives to the exchange that is under way.
func (s *Session) read() {
	r := bufio.NewReaderSize(s.conn, wire.MaxFrame)
	for {
		f, err := s.readFrame(r)
		if err == nil {
			err = s.dispatch(f)
		}
		if err != nil {
			s.fail(err)
			break
		}
	}
	// A program whose session has ended has, for those who wait for it.
	s.endProgram(nil)
}

func (s *Session) readFrame(r io.Reader) (frame, error) {
	var header [wire.HeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, s.lost(err)
	}
	kind, n, err := wire.ParseHeader(header[:])
	if err != nil {
		return frame{}, violation(kind, "%v", err)
	}
	payload := s.buffer()[:n]
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, s.lost(err)
	}
	return frame{kind: kind, payload: payload}, nil
}

func (s *Session) dispatch(f frame) error {
	switch f.kind {
	case wire.TypeStdout, wire.TypeStderr, wire.TypeStdinCredit, wire.TypeStdinClosed, wire.TypeExited:
		err := s.programFrame(f)
		s.recycle(f)
		return err
	case wire.TypeFatal:
		var m wire.Fatal
		if err := m.Decode(f.payload); err != nil {
			return violation(f.kind, "%v", err)
		}
		return &FatalError{Step: m.Stage.String(), Errno: errno(m.Errno)}
	}
	if err := s.admit(f); err != nil {
		return err
	}
	select {
	case s.reply <- f:
		return nil
	case <-s.dead:
		return s.reason()
	}
}

// admit checks that somebody waits for f and notes what follows from it before
// the next frame is looked at.
func (s *Session) admit(f frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := answers[s.exchange]
	if slices.Contains(due.last, f.kind) && s.due > 0 {
		s.due--
		return nil
	}
	if slices.Contains(due.last, f.kind) {
		s.exchange = quiet
		switch f.kind {
		case wire.TypeStarted:
			s.program.started, s.program.running = true, true
		case wire.TypeHeld:
			s.program.held = true
		}
		return nil
	}
	if slices.Contains(due.other, f.kind) {
		return nil
	}
	return violation(f.kind, "nobody asked for it")
}

// buffer returns room for one payload.
func (s *Session) buffer() []byte {
	select {
	case b := <-s.spare:
		return b
	default:
		return make([]byte, wire.MaxPayload)
	}
}

// recycle gives f's payload back. It must not be used afterwards.
func (s *Session) recycle(f frame) {
	select {
	case s.spare <- f.payload[:wire.MaxPayload]:
	default:
	}
}
