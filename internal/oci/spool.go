package oci

import (
	"context"
	"io"
	"os"
)

// spool holds the contents of all files of an image, one after the other, in a
// file that has no name.
type spool struct {
	f    *os.File
	size int64
}

// take appends size bytes of r.
func (s *spool) take(ctx context.Context, r io.Reader, size int64) error {
	if size == 0 {
		return nil
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
