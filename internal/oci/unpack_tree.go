package oci

import (
	"context"
	"io"
	"os"

	"github.com/takovm/tako/internal/environment"
)

// Unpacked is the tree of a tar stream. Its files are in one file without a name
// until Close.
type Unpacked struct {
	Entries []environment.TreeEntry
	spool   *os.File
}

// Close lets go of the files.
func (u *Unpacked) Close() error { return u.spool.Close() }

// Unpack reads a plain tar from r to its end, as a layer of an image: nothing in
// it is believed, and limits bound it. The files are kept in the directory dir.
// note is told what was left out. Errors are job.KindInvalid for what is wrong
// with the stream.
func Unpack(ctx context.Context, r io.Reader, dir string, limits Limits, note func(string)) (_ *Unpacked, err error) {
	f, err := os.CreateTemp(dir, "unpack-*.tmp")
	if err != nil {
		return nil, err
	}
	u := &Unpacked{spool: f}
	defer func() {
		if err != nil {
			u.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	limits = limits.withDefaults()
	m := newMerger(ctx, limits, &spool{f: f}, note)
	m.in = limits.Unpacked // what is not compressed is no bomb for its size
	counted := &countingReader{r: r, n: &m.input}
	if err := m.add(counted); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, counted); err != nil { // the padding
		return nil, err
	}
	u.Entries, err = m.result(true)
	return u, err
}

type countingReader struct {
	r io.Reader
	n *int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}
