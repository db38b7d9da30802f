package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// checkDigest keeps what is no SHA-256 from being part of a path.
func checkDigest(d v1.Hash) error {
	if b, err := hex.DecodeString(d.Hex); d.Algorithm != "sha256" || err != nil || len(b) != sha256.Size {
		return corrupt("the image names something by %q, which is no SHA-256", d.String())
	}
	return nil
}

// has reports whether the blob is there, and its size; -1 if it is not.
func (s *Store) has(d v1.Hash) int64 {
	st, err := os.Stat(s.blob(d))
	if err != nil {
		return -1
	}
	return st.Size()
}

// readBlob reads a small blob and verifies it.
func (s *Store) readBlob(d v1.Hash) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	f, err := os.Open(s.blob(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, s.limits.Manifest+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > s.limits.Manifest {
		return nil, tooMuch("%s has more than %d bytes", d, s.limits.Manifest)
	}
	if digestOf(content) != d {
		os.Remove(f.Name())
		return nil, job.Errorf(job.KindUnavailable, "%s: %w", f.Name(), errDamaged).WithHint("pull again; look at the disk")
	}
	return content, nil
}

// errDamaged is a blob of the store that is not what it was.
var errDamaged = errors.New("it has changed since it was stored, and was removed")

func digestOf(content []byte) v1.Hash {
	sum := sha256.Sum256(content)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// put stores what r has, at most limit bytes, under the digest that it turns out
// to have.
func (s *Store) put(r io.Reader, limit int64) (d v1.Hash, size int64, err error) {
	f, err := s.temporary()
	if err != nil {
		return d, 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(r, limit+1))
	if err == nil && size > limit {
		err = tooMuch("a part of the image has more than %d bytes", limit)
	}
	if err != nil {
		os.Remove(f.Name())
		return d, 0, err
	}
	d = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
	if s.has(d) == size {
		os.Remove(f.Name())
		return d, size, nil
	}
	return d, size, commit(f, s.blob(d))
}

// claim waits until this process is the one that downloads a blob, and returns
// its partial file with what earlier ones left in it; nil if the blob is there.
func (s *Store) claim(ctx context.Context, d v1.Hash) (*os.File, error) {
	for {
		if s.has(d) >= 0 {
			return nil, nil
		}
		f, err := os.OpenFile(s.partial(d), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lifecycle.Flock(ctx, f, syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, err
		}
		opened, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		// Whoever had the lock may have completed the file, or removed it.
		if named, err := os.Stat(s.partial(d)); err == nil && os.SameFile(opened, named) {
			return f, nil
		}
		f.Close()
	}
}
