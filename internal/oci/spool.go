package oci

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// spool holds the contents of all files of an image, one after the other, in a
// file that has no name.
type spool struct {
	f       *os.File
	size    int64
	checked int64 // how large it was when the disk was last looked at
}

const (
	// spare is what is left free on the disk, in bytes: others write there, too.
	spare = 256 << 20
	// spoolStep is how much is spooled between two looks at the disk.
	spoolStep = 64 << 20
)

// room fails if the disk below dir has not n bytes left, and some to spare.
func room(dir string, n int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil // unknown: the write will tell
	}
	if free := int64(st.Bavail) * st.Bsize; free < n+spare {
		return fmt.Errorf("%d MiB are needed and %d MiB are free: %w", (n+spare)>>20, free>>20, syscall.ENOSPC)
	}
	return nil
}

// take appends size bytes of r.
func (s *spool) take(ctx context.Context, r io.Reader, size int64) error {
	if size == 0 {
		return nil
	}
	if s.size+size-s.checked >= spoolStep {
		// The file has no name, but its directory has.
		if err := room(filepath.Dir(s.f.Name()), size); err != nil {
			return err
		}
		s.checked = s.size + size
	}
	n, err := io.CopyN(writing{ctx, s.f}, r, size)
	s.size += n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// open reads a part of it.
func (s *spool) open(at, size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(s.f, at, size)), nil
	}
}

// writing is a file that is written until a context ends.
type writing struct {
	ctx context.Context
	f   *os.File
}

func (w writing) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.f.Write(p)
}
