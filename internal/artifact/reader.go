package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Blob is an open blob. It reads like a file: from the start, or from where
// Seek put it, so that http.ServeContent can answer ranges with it. One
// goroutine uses it at a time.
type Blob struct {
	Info
	r   io.ReadSeekCloser
	pos int64
	// sum has hashed everything before pos; nil once a read left a gap.
	sum hash.Hash
	err error // damage, once seen
}

// NewBlob makes a Blob of what a driver opened, which must be at its start.
// Blob closes it.
func NewBlob(info Info, r io.ReadSeekCloser) *Blob {
	return &Blob{Info: info, r: r, sum: sha256.New()}
}

// Read reads up to the size that the blob had when it was opened. The last
// bytes are answered only if the blob, should it have been read from its
// start, has the right digest.
func (b *Blob) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	left := b.Size - b.pos
	if left <= 0 {
		// The only blob whose end is reached without a read is the empty one.
		if b.Size == 0 && b.sum != nil && digestOf(b.sum.Sum(nil)) != b.Digest {
			return 0, b.damaged("it is empty")
		}
		return 0, io.EOF
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	n, err := b.r.Read(p)
	b.pos += int64(n)
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	if b.pos == b.Size && b.sum != nil && digestOf(b.sum.Sum(nil)) != b.Digest {
		return 0, b.damaged("its bytes have another digest")
	}
	switch {
	case errors.Is(err, io.EOF) && b.pos < b.Size, errors.Is(err, io.ErrUnexpectedEOF):
		return n, b.damaged(fmt.Sprintf("it ends after %d of %d bytes", b.pos, b.Size))
	case errors.Is(err, io.EOF):
		return n, nil // the next Read says so
	case err != nil:
		return n, fmt.Errorf("reading blob %s: %w", b.Digest, err)
	}
	return n, nil
}

// damaged remembers what is wrong: it stays wrong.
func (b *Blob) damaged(what string) error {
	b.err = Damaged(b.Digest, what)
	return b.err
}

// Seek sets where the next Read begins. Seeking to the start has the blob
// checked again; seeking elsewhere ends the check.
func (b *Blob) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += b.pos
	case io.SeekEnd:
		offset += b.Size
	default:
		return 0, fmt.Errorf("reading blob %s: %d is no way to seek", b.Digest, whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("reading blob %s: seek to before its start", b.Digest)
	}
	if offset == b.pos {
		return offset, nil
	}
	if _, err := b.r.Seek(offset, io.SeekStart); err != nil {
		return 0, fmt.Errorf("reading blob %s: %w", b.Digest, err)
	}
	b.pos, b.sum = offset, nil
	if offset == 0 {
		b.sum = sha256.New()
	}
	return offset, nil
}

// Close ends reading. Whether the blob was good is told by Read.
func (b *Blob) Close() error { return b.r.Close() }

// OpenSize opens a blob whose size a record tells. Another size is damage, and
// found before anything is read.
func OpenSize(ctx context.Context, s Store, d Digest, size int64) (*Blob, error) {
	b, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	if b.Size != size {
		return nil, errors.Join(Damaged(d, fmt.Sprintf("it has %d bytes, its record says %d", b.Size, size)), b.Close())
	}
	return b, nil
}

// Verify reads a whole blob and answers what is wrong with it.
func Verify(ctx context.Context, s Store, d Digest) error {
	b, err := s.Open(ctx, d)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = io.Copy(io.Discard, b)
	return err
}
