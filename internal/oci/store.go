package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// Phases of a pull, before those of package environment.
const (
	PhaseDownload environment.Phase = "download"
	PhaseUnpack   environment.Phase = "unpack"
)

// Store keeps images. Its methods may be called at once, by any number of
// processes.
type Store struct {
	dir          string
	environments string
	limits       Limits
	// transport carries requests; pause waits between two tries. Tests have
	// their own.
	transport http.RoundTripper
	pause     func(ctx context.Context, d time.Duration) error
	now       func() time.Time
}

// Open opens the store in dir, making it if it is missing. EROFS images go into
// environments, a cache directory of package environment. A directory that cannot
// be written is a job.KindUnavailable error.
func Open(dir, environments string, limits Limits) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the image store %s: %w", dir, err)
	}
	s := &Store{dir: abs, environments: environments, limits: limits.withDefaults(), transport: newTransport(), pause: pause, now: time.Now}
	for _, name := range []string{"blobs", "partial", "images"} {
		if err := os.MkdirAll(filepath.Join(abs, name), 0o700); err != nil {
			return nil, s.fail(err)
		}
	}
	return s, nil
}

// Limits are those of the store's images, none of them zero.
func (s *Store) Limits() Limits { return s.limits }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) blob(d v1.Hash) string    { return filepath.Join(s.dir, "blobs", d.Hex) }
func (s *Store) partial(d v1.Hash) string { return filepath.Join(s.dir, "partial", d.Hex) }

// fail makes the one line for a store that cannot be written. Errors that have a
// kind, and those of a context, stay as they are.
func (s *Store) fail(err error) error {
	var je *job.Error
	switch {
	case err == nil, errors.As(err, &je), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return job.Errorf(job.KindUnavailable, "the image store %s is full: %w", s.dir, err).
			WithHint("free some space there, with `tako env rm` and `tako env gc` for instance, or choose another data directory")
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		return job.Errorf(job.KindUnavailable, "the image store %s cannot be written: %w", s.dir, err).
			WithHint("make it a directory that this user may write or choose another data directory")
	}
	return job.Errorf(job.KindUnavailable, "the image store %s: %w", s.dir, err).
		WithHint("look at the disk below it or choose another data directory")
}

// lock takes the store's lock: syscall.LOCK_SH to add, syscall.LOCK_EX to remove.
func (s *Store) lock(ctx context.Context, how int) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, s.fail(err)
	}
	if err := lifecycle.Flock(ctx, f, how); err != nil {
		f.Close()
		return nil, s.fail(fmt.Errorf("waiting for another process that uses it: %w", err))
	}
	return func() { f.Close() }, nil
}

// commit gives a complete file its name, durably. It removes it on failure; the
// caller closes it.
func commit(f *os.File, name string) (err error) {
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(0o400); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// temporary makes an unfinished file; GC removes it if its maker dies.
func (s *Store) temporary() (*os.File, error) {
	return os.CreateTemp(filepath.Join(s.dir, "partial"), "*.tmp")
}

// nameless makes a file that is gone when it is closed, whatever happens.
func (s *Store) nameless() (*os.File, error) {
	f, err := s.temporary()
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
