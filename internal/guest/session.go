package guest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/takovm/tako/internal/guest/wire"
)

// Session is one conversation with one sandbox.
type Session struct {
	conn   net.Conn
	writes chan outgoing // to the writer, which alone writes to conn
	turn   chan struct{} // holds a token while an exchange is under way
	reply  chan frame    // from the reader to the exchange
	spare  chan []byte   // payload buffers to use again
	dead   chan struct{} // closed with the session's end
	tasks  sync.WaitGroup

	mu       sync.Mutex
	err      error // why it ended
	exchange exchange
	due      int // last answers of the exchange, beyond the next
	greeted  bool
	program  program
}

// exchange is the request whose answers are due.
type exchange uint8

const (
	quiet exchange = iota
	greeting
	writing
	starting
	holding
	opening
	releasing
	collecting
)

// answers lists what may arrive in each exchange; the last of it ends there.
var answers = [...]struct{ last, other []wire.Type }{
	quiet:     {},
	greeting:  {last: []wire.Type{wire.TypeHello}},
	writing:   {last: []wire.Type{wire.TypeDone}},
	starting:  {last: []wire.Type{wire.TypeStarted, wire.TypeStartFailed}},
	holding:   {last: []wire.Type{wire.TypeHeld, wire.TypeStartFailed}},
	opening:   {last: []wire.Type{wire.TypeHeld, wire.TypeStartFailed}},
	releasing: {last: []wire.Type{wire.TypeStarted, wire.TypeStartFailed}, other: []wire.Type{wire.TypeDone}},
	collecting: {
		last:  []wire.Type{wire.TypeCollectEnd},
		other: []wire.Type{wire.TypeFileBegin, wire.TypeFileData, wire.TypeFileEnd, wire.TypeFileBad, wire.TypeSkipped},
	},
}

// NewSession starts a session on conn, the host's end of a control socket, and
// takes it over. Nothing is sent before Handshake. The caller has to Close it.
func NewSession(conn net.Conn) *Session {
	s := &Session{
		conn:   conn,
		writes: make(chan outgoing),
		turn:   make(chan struct{}, 1),
		reply:  make(chan frame),
		spare:  make(chan []byte, 2),
		dead:   make(chan struct{}),
	}
	s.program.exited = make(chan struct{})
	s.program.wake = make(chan struct{}, 1)
	s.tasks.Go(s.read)
	s.tasks.Go(s.write)
	return s
}

// Hello is what init says of itself.
type Hello struct {
	// Version is the version of the protocol.
	Version int
	// PID is init's process id inside, which is 1.
	PID int
	// Held reports a sandbox that was restored with a program held in it.
	Held bool
}

// Handshake greets init and waits for the answer. An init of another version
// is an error.
func (s *Session) Handshake(ctx context.Context) (Hello, error) {
	nonce := rand.Uint64()
	if err := s.begin(ctx, greeting, wire.Greet{Version: wire.Version, Nonce: nonce}.Append(nil)); err != nil {
		return Hello{}, s.wrap("handshake", err)
	}
	defer s.done()
	f, err := s.next(ctx)
	if err != nil {
		return Hello{}, s.wrap("handshake", err)
	}
	var m wire.Hello
	if err := s.decode(f, &m); err != nil {
		return Hello{}, s.wrap("handshake", err)
	}
	switch {
	case m.Version != wire.Version:
		err = violation(f.kind, "version %d, not %d", m.Version, wire.Version)
	case m.Nonce != nonce:
		err = violation(f.kind, "answers another greeting")
	case m.PID != 1:
		err = violation(f.kind, "pid %d", m.PID)
	case m.Phase != wire.PhaseIdle && m.Phase != wire.PhaseHeld:
		err = violation(f.kind, "a program was started already")
	}
	if err != nil {
		return Hello{}, s.wrap("handshake", s.fail(err))
	}
	s.mu.Lock()
	s.greeted = true
	s.program.held = m.Phase == wire.PhaseHeld
	s.mu.Unlock()
	return Hello{Version: int(m.Version), PID: int(m.PID), Held: m.Phase == wire.PhaseHeld}, nil
}

// Close ends the session; init kills everything and exits. It returns when the
// session's goroutines have ended, for which a Write to Streams that is under
// way has to return. Only a Read from Streams.Stdin is not waited for: its
// goroutine ends when the Read does.
func (s *Session) Close() error {
	s.fail(ErrClosed)
	s.tasks.Wait()
	return nil
}

// fail ends the session for reason err, unless it has ended, and returns the
// reason that holds.
func (s *Session) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.dead)
		s.conn.Close()
	}
	return s.err
}

// lost ends the session because of the connection.
func (s *Session) lost(cause error) error { return s.fail(fmt.Errorf("%w: %w", ErrLost, cause)) }

// reason is why the session has ended, nil while it lives.
func (s *Session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// wrap says which call failed. Errors that say it themselves stay as they are.
func (s *Session) wrap(call string, err error) error {
	var file *FileError
	var exec *ExecError
	if err == nil || errors.As(err, &file) || errors.As(err, &exec) {
		return err
	}
	return fmt.Errorf("guest %s: %w", call, err)
}

// begin waits for its turn and sends the first frames of an exchange. Unless
// it fails, done has to follow.
func (s *Session) begin(ctx context.Context, e exchange, request ...[]byte) error {
	select {
	case s.turn <- struct{}{}:
	case <-s.dead:
		return unsent(s.reason())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := s.enter(e); err != nil {
		<-s.turn
		return err
	}
	for _, b := range request {
		if err := s.sendOrFail(ctx, b); err != nil {
			s.done()
			return err
		}
	}
	return nil
}

// unsent says that err was there before anything of an exchange was sent.
func unsent(err error) error { return fmt.Errorf("%w: %w", ErrUnsent, err) }

// enter checks that e may begin now and lets its answers in.
func (s *Session) enter(e exchange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return unsent(s.err)
	case !s.greeted && e != greeting:
		return errors.New("called before Handshake")
	case (e == starting || e == holding) && (s.program.started || s.program.held):
		return errors.New("a sandbox runs one program")
	case (e == opening || e == releasing) && (s.program.started || !s.program.held):
		return errors.New("no program is held")
	case e == collecting && s.program.running:
		return errors.New("called while the program runs")
	}
	s.exchange, s.due = e, 0
	return nil
}

// expect has the exchange end with n more answers than one.
func (s *Session) expect(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = n
}

// done gives the turn to the next.
func (s *Session) done() {
	s.mu.Lock()
	s.exchange = quiet
	s.mu.Unlock()
	<-s.turn
}

// next waits for the next frame of the exchange. The frame's payload is good
// until recycle.
func (s *Session) next(ctx context.Context) (frame, error) {
	select {
	case f := <-s.reply:
		return f, nil
	case <-s.dead:
		return frame{}, s.reason()
	case <-ctx.Done():
		return frame{}, s.fail(context.Cause(ctx))
	}
}

// decode reads f as m and recycles it.
func (s *Session) decode(f frame, m interface{ Decode([]byte) error }) error {
	err := m.Decode(f.payload)
	s.recycle(f)
	if err != nil {
		return s.fail(violation(f.kind, "%v", err))
	}
	return nil
}
