package guest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takovm/tako/internal/guest/wire"
)

// FuzzSession lets a guest answer each request of a whole life with arbitrary
// bytes. Whatever it says, every call returns, the files that are handed out
// are what was asked for, and Close ends everything.
func FuzzSession(f *testing.F) {
	f.Add(chunks(
		script(wire.Done{}),
		script(started, raw{wire.TypeStdout, "abc"}, wire.StdinCredit{Bytes: 5}, ended),
		script(file("result.json", 2), data("{}"), fileEnd, file("a/b", 1), data("x"), fileEnd, wire.CollectEnd{Files: 2, Bytes: 3}),
	))
	f.Add(chunks(script(wire.Done{Errno: 28}), script(wire.StartFailed{Stage: wire.StageExec, Errno: 2}), script(wire.CollectEnd{})))
	f.Add(chunks(script(wire.Done{}), script(started, raw{wire.TypeStdinClosed, ""}, raw{wire.TypeStderr, "x"}, wire.Exited{Stderr: 1, Status: 9}),
		script(file("a", 2), data("x"), wire.FileBad{Reason: wire.ReasonChanged}, wire.Skipped{Reason: wire.ReasonName, Name: "\xff"},
			wire.CollectEnd{Skipped: 2})))
	f.Add(chunks(script(wire.Done{}), script(wire.Held{PID: 2}), script(started, raw{wire.TypeStdout, "a"}, wire.Exited{Stdout: 1}), script(wire.CollectEnd{})))
	f.Add(chunks(script(wire.Fatal{Stage: wire.StageProtocol})))
	f.Fuzz(func(t *testing.T, input []byte) {
		// Where it leaves somebody waiting, the context ends that.
		s, _ := meet(t, &peer{replies: split(input), hangUp: true})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		s.Put(ctx, File{Path: "/code/x", Size: 3}, strings.NewReader("abc")) //nolint:errcheck // it returns
		if begin(ctx, s, len(input)%2 == 1) == nil {
			s.Signal(ctx, syscall.SIGTERM, true) //nolint:errcheck // it returns
			if exit, err := s.Wait(ctx); err == nil && (exit.StdoutBytes < 0 || exit.Usage.CPUTime < 0) {
				t.Errorf("exit %+v", exit)
			}
		}
		files, total := 0, int64(0)
		sum, err := s.Collect(ctx, options, func(name string, size int64, r io.Reader) error {
			if !wire.ValidName(name) || size < 0 || size > options.MaxFileBytes {
				t.Errorf("%q of %d bytes", name, size)
			}
			n, err := io.Copy(io.Discard, r)
			if err == nil && n != size {
				t.Errorf("%q has %d bytes of %d", name, n, size)
			}
			if err == nil {
				files++
				total += n
			}
			return err
		})
		if err == nil && (sum.Files != files || sum.Bytes != total || files > options.MaxFiles || total > options.MaxTotalBytes) {
			t.Errorf("%+v for %d files of %d bytes", sum, files, total)
		}
		var broken *ProtocolError
		if errors.As(err, &broken) && broken.Message == "" {
			t.Errorf("unnamed: %v", err)
		}
	})
}

// begin starts a program, held first or not.
func begin(ctx context.Context, s *Session, held bool) error {
	p, streams := Program{Path: "/p", UID: 1, GID: 1}, Streams{Stdout: &discarding{}, Stderr: io.Discard}
	if !held {
		streams.Stdin = strings.NewReader("input")
		return s.Start(ctx, p, streams)
	}
	if err := s.Hold(ctx, p, "/code/x"); err != nil {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	return s.Release(ctx, streams, Content{File: File{Path: "/code/x"}, Bytes: []byte("x")})
}

// discarding asks for silence after the first piece.
type discarding struct{}

func (*discarding) Write(p []byte) (int, error) { return len(p), ErrDiscard }

// chunks and split carry a guest's answers in one input: each with its length
// before it, in 16 bits.
func chunks(parts ...[]byte) []byte {
	var b []byte
	for _, part := range parts {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(part))), part...)
	}
	return b
}

func split(b []byte) [][]byte {
	var parts [][]byte
	for len(b) >= 2 {
		n := min(int(binary.LittleEndian.Uint16(b)), len(b)-2)
		parts = append(parts, b[2:2+n])
		b = b[2+n:]
	}
	return parts
}
