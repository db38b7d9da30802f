package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
)

var (
	errStalled = errors.New("nothing was sent or received for too long")
	errRevoked = errors.New("the attempt is over")
)

// watch ends an attempt that makes no progress. It looks only while we wait for
// the service, not while somebody takes time with what we read.
type watch struct {
	timer  *time.Timer
	after  time.Duration
	cancel context.CancelCauseFunc
}

// watchOver answers a watch, at rest, and the context that it ends.
func watchOver(ctx context.Context, after time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{after: after, cancel: cancel}
	w.timer = time.AfterFunc(after, func() { cancel(errStalled) })
	w.rest()
	return ctx, w
}

func (w *watch) arm()  { w.timer.Reset(w.after) }
func (w *watch) rest() { w.timer.Stop() }

func (w *watch) end() {
	w.rest()
	w.cancel(nil)
}

// watched is the body of an answer. Closing it ends the attempt.
type watched struct {
	body io.ReadCloser
	w    *watch
}

func (b *watched) Read(p []byte) (int, error) {
	b.w.arm()
	defer b.w.rest()
	return b.body.Read(p)
}

func (b *watched) Close() error {
	defer b.w.end()
	return b.body.Close()
}

const (
	// drainable is how many bytes of an answer are read and thrown away rather
	// than a connection made anew, which costs about as much as they do.
	drainable = 64 << 10
	// drainTime is how long they are waited for.
	drainTime = time.Second
)

// discard closes the body of an answer. Where little of it is left it is read,
// so that the next request can have the connection.
func discard(body io.ReadCloser) {
	if b, ok := body.(*watched); ok {
		b.w.after = min(b.w.after, drainTime)
	}
	io.CopyN(io.Discard, body, drainable)
	body.Close()
}

// upload is what a PUT carries: a file that is read from its start by every
// attempt. A transport may go on reading after it has answered, so the attempts
// before the last one are cut off.
type upload struct {
	digest artifact.Digest
	size   int64 // bytes

	mu      sync.Mutex
	file    *disk.Spooled
	current *sending // nil between attempts
	err     error    // of the file
}

// sending is one attempt's body.
type sending struct {
	u *upload
	w *watch
}

func (u *upload) attempt(w *watch) (io.ReadCloser, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, err := u.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if u.size == 0 { // any other body would be one of unknown length
		return http.NoBody, nil
	}
	u.current = &sending{u: u, w: w}
	return u.current, nil
}

// revoke ends the attempt's reading and answers what was wrong with the file.
func (u *upload) revoke() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.current = nil
	if u.err != nil {
		return &spoolError{u.err}
	}
	return nil
}

func (s *sending) Read(p []byte) (int, error) {
	s.u.mu.Lock()
	defer s.u.mu.Unlock()
	if s.u.current != s {
		return 0, errRevoked
	}
	s.w.arm()
	n, err := s.u.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.u.err = err
	}
	return n, err
}

func (s *sending) Close() error { return nil }

// spoolError is a failure of our own disk: asking again would not mend it.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "reading the temporary file: " + e.err.Error() }
func (e *spoolError) Unwrap() error { return e.err }
