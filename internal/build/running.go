package build

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

var (
	errNobody = job.Errorf(job.KindUnavailable, "nobody waits for the packages any more")
	errClosed = job.Errorf(job.KindUnavailable, "the packages were not installed: tako stops").WithHint("try again when it runs again")
)

// installation is one that runs or waits for its turn, and any number of callers
// with it. Before it has begun it ends with the last of them; from then on only
// with the process.
type installation struct {
	key     string
	request Request
	log     spread
	cancel  context.CancelCauseFunc

	waiting int  // callers; held by Builder.mu, as begun is
	begun   bool // it may be given up no longer

	done chan struct{}
	env  environment.Environment // after done, as err is
	err  error
}

// join answers the installation of a key, started if there is none. One that is
// to be made anew is never another's, who may have looked at the index before.
func (b *Builder) join(ctx context.Context, r Request, key string) (*installation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	if in := b.joined[key]; in != nil && !r.Anew {
		in.waiting++
		return in, nil
	}
	in := &installation{key: key, request: r, waiting: 1, done: make(chan struct{})}
	in.request.Log = nil // its caller's, who may leave
	ctx, in.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if !r.Anew {
		b.joined[key] = in
	}
	b.running.Go(func() {
		defer context.AfterFunc(b.ended, func() { in.cancel(errClosed) })()
		in.env, in.err = b.make(ctx, in)
		b.mu.Lock()
		b.forget(in)
		b.mu.Unlock()
		in.cancel(nil)
		close(in.done)
	})
	return in, nil
}

// leave ends what nobody waits for, unless it has begun.
func (b *Builder) leave(in *installation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in.waiting--; in.waiting == 0 && !in.begun {
		b.forget(in)
		in.cancel(errNobody)
	}
}

// begin reports whether somebody waits for an installation, which goes on from
// now on.
func (b *Builder) begin(in *installation) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	in.begun = in.waiting > 0
	return in.begun
}

// forget has nobody join an installation any more. The caller holds mu.
func (b *Builder) forget(in *installation) {
	if b.joined[in.key] == in {
		delete(b.joined, in.key)
	}
}

// Close ends installations and waits until they have ended.
func (b *Builder) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.end()
	b.running.Wait()
	return nil
}

// spread is a log that any number of callers read while it is written, each from
// its beginning. What is passed to it is bounded: tail does.
type spread struct {
	mu   sync.Mutex
	said bytes.Buffer
	to   map[*io.Writer]bool
}

func (s *spread) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said.Write(p)
	for w := range s.to {
		_, _ = (*w).Write(p) // a log that nobody takes is no reason to stop
	}
	return len(p), nil
}

// follow writes what was said and what will be said to w, until the function that
// it answers is called.
func (s *spread) follow(w io.Writer) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = w.Write(s.said.Bytes())
	if s.to == nil {
		s.to = map[*io.Writer]bool{}
	}
	s.to[&w] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.to, &w)
	}
}
