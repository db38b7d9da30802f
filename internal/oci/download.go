package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/takovm/tako/internal/job"
)

const (
	// fruitless is how many tries in a row may bring nothing new.
	fruitless = 5
	// maxTries bounds the tries of one blob, whatever they bring.
	maxTries = 100
)

// source opens a blob at an offset, or at the begin if it cannot, and says where.
type source func(ctx context.Context, offset int64) (body io.ReadCloser, start int64, err error)

// download is one blob on its way.
type download struct {
	store   *Store
	want    v1.Descriptor
	f       *os.File
	h       hash.Hash
	have    int64
	resumed bool // some of it was here before
	report  func(n int64)
}

// fetch makes sure of a blob. report is told of every byte that counts, also of
// those that were there.
func (s *Store) fetch(ctx context.Context, want v1.Descriptor, from source, report func(n int64)) error {
	f, err := s.claim(ctx, want.Digest)
	if err != nil {
		return s.fail(err)
	}
	if f == nil {
		if size := s.has(want.Digest); size != want.Size {
			return corrupt("the image says that %s has %d bytes: it has %d", want.Digest, want.Size, size)
		}
		report(want.Size)
		return nil
	}
	defer f.Close()
	d := &download{store: s, want: want, f: f, h: sha256.New(), report: report}
	if err := d.recall(); err != nil {
		return s.fail(err)
	}
	return s.fail(d.run(ctx, from))
}

// recall takes up what an earlier download left.
func (d *download) recall() (err error) {
	if d.have, err = io.Copy(d.h, d.f); err != nil {
		return err
	}
	d.resumed = d.have > 0
	if d.have > d.want.Size {
		return d.restart()
	}
	d.report(d.have)
	return nil
}

// restart forgets what is there.
func (d *download) restart() error {
	d.report(-d.have)
	d.h.Reset()
	d.have, d.resumed = 0, false
	if err := d.f.Truncate(0); err != nil {
		return err
	}
	_, err := d.f.Seek(0, io.SeekStart)
	return err
}

// run tries until the blob is complete, and gives it its name.
func (d *download) run(ctx context.Context, from source) error {
	idle := 0
	for try := 1; d.have < d.want.Size; try++ {
		before := d.have
		err := d.try(ctx, from)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		if d.have > before {
			idle = 0
		}
		if idle++; !isTransient(err) || idle >= fruitless || try >= maxTries {
			return err
		}
		if err := d.store.pause(ctx, backoff(idle)); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(d.h.Sum(nil)); got != d.want.Digest.Hex {
		if d.resumed { // what was left may have been damaged by a crash
			if err := d.restart(); err != nil {
				return err
			}
			return d.run(ctx, from)
		}
		os.Remove(d.f.Name())
		return corrupt("%s is not what was downloaded: that has SHA-256 %s", d.want.Digest, got)
	}
	return commit(d.f, d.store.blob(d.want.Digest))
}

// try takes what one request brings.
func (d *download) try(ctx context.Context, from source) error {
	body, start, err := from(ctx, d.have)
	if err != nil {
		return err
	}
	defer body.Close()
	if start != d.have {
		if start != 0 {
			return corrupt("the registry answers with byte %d of %s instead of %d", start, d.want.Digest, d.have)
		}
		if err := d.restart(); err != nil {
			return err
		}
	}
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		if int64(n) > d.want.Size-d.have {
			return corrupt("%s has more than the %d bytes that the image says", d.want.Digest, d.want.Size)
		}
		if n > 0 {
			if _, err := d.f.Write(buf[:n]); err != nil {
				return err
			}
			d.h.Write(buf[:n])
			d.have += int64(n)
			d.report(int64(n))
		}
		switch {
		case err != nil && d.have == d.want.Size:
			return nil
		case errors.Is(err, io.EOF):
			return interrupted(fmt.Errorf("%w after %d of %d bytes", io.ErrUnexpectedEOF, d.have, d.want.Size))
		case err != nil:
			return interrupted(err)
		}
	}
}

// errTransient marks what may go well another time.
var errTransient = errors.New("")

// transient is an error that is over, perhaps, when it is tried again.
type transient struct{ err *job.Error }

func (t transient) Error() string   { return t.err.Error() }
func (t transient) Unwrap() []error { return []error{t.err, errTransient} }

func interrupted(err error) error {
	return transient{job.Errorf(job.KindUnavailable, "the download broke off: %w", err).
		WithHint("look at the network and pull again; it continues where it was")}
}

func isTransient(err error) bool { return errors.Is(err, errTransient) }

// backoff is how long to wait after the nth failure in a row.
func backoff(n int) time.Duration { return time.Second << min(n-1, 4) }
