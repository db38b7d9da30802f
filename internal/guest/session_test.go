package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takovm/tako/internal/guest/wire"
)

// peer plays the guest: it answers the nth request with the nth of replies,
// byte for byte, and reads everything.
type peer struct {
	conn    net.Conn
	replies [][]byte
	hangUp  bool // after the last of them
	done    chan struct{}
	input   chan int // if not nil, told of each piece of standard input
}

// talk connects a session to a peer that greets properly and then sticks to
// replies: one for each Mkdir, finished put, finished Run, Collect.
func talk(t testing.TB, replies ...[]byte) (*Session, *peer) {
	return meet(t, &peer{replies: replies})
}

func meet(t testing.TB, p *peer) (*Session, *peer) {
	host, guest := net.Pipe()
	p.conn, p.done = guest, make(chan struct{})
	go p.serve()
	s := NewSession(host)
	t.Cleanup(func() {
		s.Close()
		<-p.done
	})
	if _, err := s.Handshake(t.Context()); err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return s, p
}

func (p *peer) serve() {
	defer close(p.done)
	defer p.conn.Close()
	waiting := 0 // for what completes a request
	for {
		kind, payload, err := readFrame(p.conn)
		if err != nil {
			return
		}
		switch kind {
		case wire.TypeGreet:
			var m wire.Greet
			m.Decode(payload) //nolint:errcheck // the session wrote it
			p.say(wire.Hello{Version: wire.Version, Nonce: m.Nonce, PID: 1}.Append(nil), false)
		case wire.TypePutBegin:
			var m wire.PutBegin
			m.Decode(payload) //nolint:errcheck // the session wrote it
			waiting = int(m.Size)
		case wire.TypePutData:
			waiting -= len(payload)
		case wire.TypeRun:
			var m wire.Run
			m.Decode(payload) //nolint:errcheck // the session wrote it
			waiting = int(m.NArgs) + int(m.NEnv)
		case wire.TypeArg, wire.TypeEnv:
			waiting--
		case wire.TypeStdin:
			if p.input != nil {
				p.input <- len(payload)
			}
		}
		switch kind {
		case wire.TypePutBegin, wire.TypePutData, wire.TypeArg, wire.TypeEnv, wire.TypeMkdir, wire.TypeCollect, wire.TypePutAbort:
			if waiting == 0 && len(p.replies) > 0 {
				last := len(p.replies) == 1
				p.say(p.replies[0], last && p.hangUp)
				p.replies = p.replies[1:]
			}
		}
	}
}

func (p *peer) say(b []byte, last bool) {
	go func() {
		p.conn.Write(b) //nolint:errcheck // the session may have had enough
		if last {
			p.conn.Close()
		}
	}()
}

func readFrame(r io.Reader) (wire.Type, []byte, error) {
	var header [wire.HeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	kind, n, err := wire.ParseHeader(header[:])
	if err != nil {
		return 0, nil, err
	}
	payload := make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return kind, payload, err
}

// script is a row of frames.
func script(frames ...interface{ Append([]byte) []byte }) []byte {
	var b []byte
	for _, f := range frames {
		b = f.Append(b)
	}
	return b
}

// raw is a frame with any payload.
type raw struct {
	kind    wire.Type
	payload string
}

func (r raw) Append(dst []byte) []byte { return wire.AppendRaw(dst, r.kind, []byte(r.payload)) }

var (
	started = wire.Started{PID: 2}
	fileEnd = raw{kind: wire.TypeFileEnd}
	ended   = wire.Exited{Stdout: 3}
)

func file(name string, size uint64) wire.FileBegin { return wire.FileBegin{Name: name, Size: size} }
func data(text string) raw                         { return raw{wire.TypeFileData, text} }

var options = CollectOptions{MaxFiles: 3, MaxFileBytes: 10, MaxTotalBytes: 20, MaxDepth: 1}

func drain(_ string, _ int64, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// A guest that breaks the protocol ends the session with an error that names
// the message, whatever the call was.
func TestProtocolViolations(t *testing.T) {
	for name, c := range map[string]struct {
		call    string // put, run or collect
		reply   []byte
		message string
	}{
		"output of no program":     {"put", script(raw{wire.TypeStdout, "x"}), "Stdout"},
		"exit of no program":       {"put", script(ended), "Exited"},
		"answer of another kind":   {"put", script(started), "Started"},
		"a file nobody asked for":  {"put", script(file("a", 1)), "FileBegin"},
		"unknown type":             {"put", []byte{0x7f, 0, 0, 0}, "type 0x7f"},
		"a host's message":         {"put", script(raw{wire.TypeShutdown, ""}), "Shutdown"},
		"frame too long":           {"put", []byte{byte(wire.TypeDone), 1, 0, 1}, "Done"},
		"malformed answer":         {"put", script(raw{wire.TypeDone, "abc"}), "Done"},
		"started malformed":        {"run", script(raw{wire.TypeStarted, ""}), "Started"},
		"started twice":            {"run", script(started, started), "Started"},
		"output before start":      {"run", script(raw{wire.TypeStderr, "x"}, started), "Stderr"},
		"empty output":             {"run", script(started, raw{wire.TypeStdout, ""}), "Stdout"},
		"exited malformed":         {"run", script(started, raw{wire.TypeExited, "x"}), "Exited"},
		"exited twice":             {"run", script(started, ended, ended), "Exited"},
		"output after exit":        {"run", script(started, ended, raw{wire.TypeStdout, "x"}), "Stdout"},
		"more output than counted": {"run", script(started, raw{wire.TypeStdout, "1234"}, ended), "Exited"},
		"stopped, not ended":       {"run", script(started, wire.Exited{Status: 0x137f}), "Exited"},
		"status too large":         {"run", script(started, wire.Exited{Status: 1 << 16}), "Exited"},
		"time over the edge":       {"run", script(started, wire.Exited{UserNanos: 1 << 63}), "Exited"},
		"credit for nothing":       {"run", script(started, wire.StdinCredit{Bytes: 1}), "StdinCredit"},
		"credit of nothing":        {"run", script(started, wire.StdinCredit{}), "StdinCredit"},
		"input closed twice":       {"run", script(started, raw{wire.TypeStdinClosed, ""}, raw{wire.TypeStdinClosed, ""}), "StdinClosed"},
		"hello while running":      {"run", script(started, wire.Hello{}), "Hello"},
		"data of no file":          {"collect", script(data("x")), "FileData"},
		"end of no file":           {"collect", script(fileEnd), "FileEnd"},
		"bad file of no file":      {"collect", script(wire.FileBad{Reason: wire.ReasonChanged}), "FileBad"},
		"data beyond the size":     {"collect", script(file("a", 1), data("xx")), "FileData"},
		"empty data":               {"collect", script(file("a", 1), data("")), "FileData"},
		"end too early":            {"collect", script(file("a", 2), data("x"), fileEnd), "FileEnd"},
		"end with a payload":       {"collect", script(file("a", 0), raw{wire.TypeFileEnd, "x"}), "FileEnd"},
		"bad after all":            {"collect", script(file("a", 1), data("x"), wire.FileBad{Reason: wire.ReasonChanged}), "FileBad"},
		"file in a file":           {"collect", script(file("a", 1), file("b", 1)), "FileBegin"},
		"the end in a file":        {"collect", script(file("a", 1), wire.CollectEnd{}), "CollectEnd"},
		"file over the bound":      {"collect", script(file("a", 11)), "FileBegin"},
		"size beyond all":          {"collect", script(file("a", 1<<63)), "FileBegin"},
		"total over the bound":     {"collect", script(file("a", 10), data("0123456789"), fileEnd, file("b", 10), data("0123456789"), fileEnd, file("c", 1)), "FileBegin"},
		"one file too many":        {"collect", script(file("a", 0), fileEnd, file("b", 0), fileEnd, file("c", 0), fileEnd, file("d", 0)), "FileBegin"},
		"too deep":                 {"collect", script(file("a/b/c", 0)), "FileBegin"},
		"upwards":                  {"collect", script(file("../a", 0)), "FileBegin"},
		"absolute":                 {"collect", script(file("/a", 0)), "FileBegin"},
		"hidden":                   {"collect", script(file(".a", 0)), "FileBegin"},
		"control character":        {"collect", script(file("a\n", 0)), "FileBegin"},
		"twice":                    {"collect", script(file("a", 0), fileEnd, file("a", 0)), "FileBegin"},
		"out of order":             {"collect", script(file("b", 0), fileEnd, file("a", 0)), "FileBegin"},
		"result.json late":         {"collect", script(file("a", 0), fileEnd, file("result.json", 0)), "FileBegin"},
		"result.json twice":        {"collect", script(file("result.json", 0), fileEnd, file("result.json", 0)), "FileBegin"},
		"a file as a directory":    {"collect", script(file("a", 0), fileEnd, file("a/b", 0)), "FileBegin"},
		"result as a directory":    {"collect", script(file("result.json", 0), fileEnd, file("result.json/b", 0)), "FileBegin"},
		"too many skips":           {"collect", bytes.Repeat(script(wire.Skipped{Reason: wire.ReasonName}), 101), "Skipped"},
		"files miscounted":         {"collect", script(wire.CollectEnd{Files: 1}), "CollectEnd"},
		"bytes miscounted":         {"collect", script(wire.CollectEnd{Bytes: 1}), "CollectEnd"},
		"skips miscounted":         {"collect", script(wire.Skipped{Reason: wire.ReasonName}, wire.CollectEnd{}), "CollectEnd"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := talk(t, c.reply)
			var err error
			switch c.call {
			case "put":
				err = s.Put(t.Context(), File{Path: "/code/x", Size: 1}, strings.NewReader("x"))
			case "run":
				err = s.Start(t.Context(), Program{Path: "/p", UID: 1, GID: 1}, Streams{Stdout: io.Discard, Stderr: io.Discard})
				<-s.dead
				if err == nil {
					_, err = s.Wait(t.Context())
				}
				if strings.HasSuffix(name, "after exit") || name == "exited twice" {
					// The first end stands; the session is over all the same.
					if err != nil {
						t.Errorf("Wait: %v", err)
					}
					err = s.reason()
				}
			case "collect":
				_, err = s.Collect(t.Context(), options, drain)
			}
			var broken *ProtocolError
			if !errors.As(err, &broken) || broken.Message != c.message {
				t.Fatalf("got %v, want a protocol error about %s", err, c.message)
			}
			if err := s.Mkdir(t.Context(), "/tmp/x", 0o755, 0, 0); !errors.As(err, &broken) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestHandshakeRefuses(t *testing.T) {
	for name, change := range map[string]func(*wire.Hello){
		"version":      func(m *wire.Hello) { m.Version++ },
		"other nonce":  func(m *wire.Hello) { m.Nonce++ },
		"not pid 1":    func(m *wire.Hello) { m.PID = 2 },
		"already busy": func(m *wire.Hello) { m.Phase = wire.PhaseRunning },
	} {
		t.Run(name, func(t *testing.T) {
			host, guest := net.Pipe()
			s := NewSession(host)
			defer s.Close()
			go func() {
				_, payload, _ := readFrame(guest)
				var m wire.Greet
				m.Decode(payload) //nolint:errcheck // the session wrote it
				hello := wire.Hello{Version: wire.Version, Nonce: m.Nonce, PID: 1}
				change(&hello)
				guest.Write(hello.Append(nil)) //nolint:errcheck // the session may have had enough
			}()
			var broken *ProtocolError
			if _, err := s.Handshake(t.Context()); !errors.As(err, &broken) || broken.Message != "Hello" {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func TestFatalComesThrough(t *testing.T) {
	host, guest := net.Pipe()
	s := NewSession(host)
	defer s.Close()
	// It says so and is gone: the greeting finds nobody.
	go func() {
		guest.Write(wire.Fatal{Stage: wire.StageDevices, Errno: uint16(syscall.EXDEV)}.Append(nil)) //nolint:errcheck // net.Pipe
		guest.Close()
	}()
	_, err := s.Handshake(t.Context())
	var fatal *FatalError
	if !errors.As(err, &fatal) || fatal.Step != "devices" || !errors.Is(err, syscall.EXDEV) {
		t.Errorf("handshake: %v", err)
	}
}

func TestCollectBadFile(t *testing.T) {
	s, _ := talk(t, script(file("a", 4), data("aa"), wire.FileBad{Reason: wire.ReasonChanged}, file("b", 1), data("b"), fileEnd,
		wire.Skipped{Reason: wire.ReasonSymlink, Name: "c\x1b"}, wire.CollectEnd{Files: 1, Bytes: 1, Skipped: 5}))
	errs := map[string]error{}
	sum, err := s.Collect(t.Context(), options, func(name string, size int64, r io.Reader) error {
		_, errs[name] = io.ReadAll(r)
		return errs[name]
	})
	if err != nil || sum.Files != 1 || sum.Bytes != 1 || sum.More != 3 || len(sum.Skipped) != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
	if !errors.Is(errs["a"], ErrChanged) || errs["b"] != nil {
		t.Errorf("readers: %v", errs)
	}
	if sum.Skipped[0] != (Skip{"a", "changed while read"}) || sum.Skipped[1] != (Skip{`"c\x1b"`, "symbolic link"}) {
		t.Errorf("skipped: %v", sum.Skipped)
	}
}

// A call that is cancelled in the middle returns at once and ends the session.
func TestContexts(t *testing.T) {
	calls := map[string]func(context.Context, *Session) error{
		"put": func(ctx context.Context, s *Session) error {
			return s.Put(ctx, File{Path: "/code/x", Size: 1}, strings.NewReader("x"))
		},
		"mkdir": func(ctx context.Context, s *Session) error { return s.Mkdir(ctx, "/code/x", 0o755, 0, 0) },
		"start": func(ctx context.Context, s *Session) error {
			return s.Start(ctx, Program{Path: "/p", UID: 1, GID: 1}, Streams{})
		},
		"collect": func(ctx context.Context, s *Session) error { _, err := s.Collect(ctx, options, drain); return err },
		"collect in a file": func(ctx context.Context, s *Session) error {
			_, err := s.Collect(ctx, options, drain)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			var reply []byte // none: the guest is silent
			if name == "collect in a file" {
				reply = script(file("a", 2), data("x"))
			}
			s, _ := talk(t, reply)
			why := errors.New("the caller has enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
			if err := call(ctx, s); !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
			if err := s.Mkdir(t.Context(), "/tmp/x", 0o755, 0, 0); !errors.Is(err, why) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A guest that does not read holds up nobody whose context ends.
func TestDeafGuest(t *testing.T) {
	host, guest := net.Pipe()
	defer guest.Close()
	s := NewSession(host)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Handshake(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("handshake: %v", err)
	}
}

func TestOrderOfCalls(t *testing.T) {
	host, guest := net.Pipe()
	defer guest.Close()
	s := NewSession(host)
	if err := s.Mkdir(t.Context(), "/tmp/x", 0o755, 0, 0); err == nil {
		t.Error("Mkdir before Handshake")
	}
	if _, err := s.Wait(t.Context()); err == nil {
		t.Error("Wait before Start")
	}
	if err := s.Signal(t.Context(), syscall.SIGTERM, false); err == nil {
		t.Error("Signal before Start")
	}
	s.Close()
	s.Close()
	if _, err := s.Handshake(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Close while everything is under way returns, and so does everything.
func TestCloseUnderWay(t *testing.T) {
	s, _ := talk(t, script(started))
	input, feeder := io.Pipe()
	if err := s.Start(t.Context(), Program{Path: "/p", UID: 1, GID: 1}, Streams{Stdin: input}); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 3)
	go func() { _, err := s.Wait(context.Background()); results <- err }()
	go func() {
		results <- s.Put(context.Background(), File{Path: "/code/x", Size: 1}, strings.NewReader("x"))
	}()
	go func() { _, err := s.Wait(context.Background()); results <- err }()
	s.Close()
	feeder.Close()
	for range 3 {
		if err := <-results; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

// Input is sent on credit only.
func TestInputCredit(t *testing.T) {
	s, p := meet(t, &peer{replies: [][]byte{script(started)}, input: make(chan int, 64)})
	text := bytes.Repeat([]byte("x"), 3*wire.StdinWindow)
	if err := s.Start(t.Context(), Program{Path: "/p", UID: 1, GID: 1}, Streams{Stdin: bytes.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < len(text); {
		window := 0
		for window < wire.StdinWindow {
			window += <-p.input
		}
		if len(p.input) != 0 || window != wire.StdinWindow {
			t.Fatalf("%d bytes came on a credit of %d", window, wire.StdinWindow)
		}
		got += window
		p.say(wire.StdinCredit{Bytes: uint32(window)}.Append(nil), false)
	}
}
