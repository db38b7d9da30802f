// Package disk keeps blobs as files below one directory:
//
//	ab/ab12...   a blob, in the folder of its digest's first two digits
//	tmp/         files that are being written
//
// A blob is written to a temporary file and hashed on the way, synced, and
// renamed to its name, so that a name never stands for half a blob, whatever
// dies when. Nothing below the directory is reached through a symbolic link.
// Folders are made with mode 0700 and files with 0600.
//
// A folder of blobs is locked (flock) while a blob gets its name or another time
// in it and while one is removed for its age, so that collecting does not take a
// blob away that another process puts again or touches at that moment.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

const (
	tmpDir = "tmp"
	// staleAfter is the age from which an unlocked temporary file is a dead
	// writer's. The lock alone leaves the moment before it is taken.
	staleAfter = time.Hour
)

// Options configure a Store.
type Options struct {
	// Dir holds the blobs. It is made if it is missing.
	Dir string
	// Reserve is what stays free of the disk. Default: DefaultReserve.
	Reserve Reserve
	// Space answers the bytes of the disk that are free for us and that there
	// are. Default: what the file system says.
	Space func() (free, total int64, err error)
}

// Store keeps blobs in a directory.
type Store struct {
	dir     string
	root    *os.File
	reserve Reserve
	share   int64 // of the reserve, one part in so many, is left alone
	space   func() (free, total int64, err error)
	// fail is asked before each step that can fail. Nil outside tests.
	fail func(step string) error
}

var _ artifact.Store = (*Store)(nil)

// Open makes the directory where it is missing, and removes what dead writers
// left in it.
func Open(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, job.Errorf(job.KindConfig, "the directory for blobs has no name")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the directory for blobs: %w", err)
	}
	s := &Store{dir: dir, reserve: o.Reserve, share: 1, space: o.Space}
	if err := os.MkdirAll(filepath.Join(dir, tmpDir), 0o700); err != nil {
		return nil, s.problem("opening", err)
	}
	if s.root, err = os.Open(dir); err != nil {
		return nil, s.problem("opening", err)
	}
	if s.space == nil {
		s.space = s.statfs
	}
	if err := s.sweep(time.Now()); err != nil {
		return nil, errors.Join(s.problem("cleaning up", err), s.root.Close())
	}
	return s, nil
}

// Close ends the use of the directory. Blobs that are open stay readable.
func (s *Store) Close() error { return s.root.Close() }

// Open answers a reader of the blob.
func (s *Store) Open(ctx context.Context, d artifact.Digest) (*artifact.Blob, error) {
	f, info, err := s.open(ctx, d)
	if err != nil {
		return nil, err
	}
	return artifact.NewBlob(info, f), nil
}

// Stat answers what Open would open.
func (s *Store) Stat(ctx context.Context, d artifact.Digest) (artifact.Info, error) {
	f, info, err := s.open(ctx, d)
	if err != nil {
		return artifact.Info{}, err
	}
	return info, f.Close()
}

func (s *Store) open(ctx context.Context, d artifact.Digest) (_ *os.File, info artifact.Info, err error) {
	if err := checkCall(ctx, d); err != nil {
		return nil, info, err
	}
	shard, err := s.shard(d)
	if err != nil {
		return nil, info, s.missing(d, err)
	}
	defer shard.Close()
	// Not blocking: opening a pipe that somebody put there would wait.
	f, err := openAt(shard, string(d), unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, info, s.missing(d, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = artifact.Damaged(d, "it is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, info, s.problem("reading", err)
	}
	return f, artifact.Info{Digest: d, Size: st.Size(), ModTime: st.ModTime()}, nil
}

// shard opens the folder of a digest.
func (s *Store) shard(d artifact.Digest) (*os.File, error) {
	return openAt(s.root, string(d[:2]), unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// missing turns the failure to open a blob into what it means.
func (s *Store) missing(d artifact.Digest, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return artifact.NotFound(d)
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return artifact.Damaged(d, "there is a link or a file in its place")
	}
	return s.problem("reading", err)
}

// Touch renews the time of a blob.
func (s *Store) Touch(ctx context.Context, d artifact.Digest) error {
	if err := checkCall(ctx, d); err != nil {
		return err
	}
	shard, err := s.shard(d)
	if err != nil {
		return s.missing(d, err)
	}
	defer shard.Close() // ends the lock, too
	if err := lock(shard); err != nil {
		return s.problem("renewing", err)
	}
	st, err := statAt(shard, string(d))
	if err != nil {
		return s.missing(d, err)
	}
	if !st.regular {
		return artifact.Damaged(d, "it is not a regular file")
	}
	return s.problem("renewing", touchAt(shard, string(d)))
}

// Delete removes a blob.
func (s *Store) Delete(ctx context.Context, d artifact.Digest) error {
	_, err := s.remove(ctx, d, nil)
	return err
}

// DeleteBefore removes a blob that was last put before t.
func (s *Store) DeleteBefore(ctx context.Context, d artifact.Digest, t time.Time) (bool, error) {
	return s.remove(ctx, d, &t)
}

// remove removes a blob, with a time only if it is older. The removal is not
// synced: after a crash the blob is there again and nobody refers to it.
func (s *Store) remove(ctx context.Context, d artifact.Digest, before *time.Time) (bool, error) {
	if err := checkCall(ctx, d); err != nil {
		return false, err
	}
	shard, err := s.shard(d)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, s.problem("removing", err)
	}
	defer shard.Close() // ends the lock, too
	if err := lock(shard); err != nil {
		return false, s.problem("removing", err)
	}
	if before != nil {
		st, err := statAt(shard, string(d))
		if err == nil && !st.modTime.Before(*before) {
			return false, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, s.problem("removing", err)
		}
	}
	switch err := removeAt(shard, string(d)); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, s.problem("removing", err)
	}
	return true, nil
}

// checkCall refuses what is no digest, and a context that is over.
func checkCall(ctx context.Context, d artifact.Digest) error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	return nil
}

// problem makes the one line for a disk that does not do its part. Errors that
// say what they are already stay as they are.
func (s *Store) problem(doing string, err error) error {
	var known *job.Error
	var source *sourceError
	switch {
	case err == nil, errors.As(err, &known), errors.As(err, &source),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return job.Errorf(job.KindUnavailable, "%s a blob: the disk is full: %w", doing, err).
			WithHint("free some space below %s", s.dir)
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		return job.Errorf(job.KindUnavailable, "%s a blob: %w", doing, err).
			WithHint("let this user read and write %s", s.dir)
	}
	return job.Errorf(job.KindUnavailable, "%s a blob: %w", doing, err).WithHint("look at the disk below %s", s.dir)
}
