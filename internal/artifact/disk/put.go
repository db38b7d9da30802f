package disk

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

// Put stores what r holds. While it is written the free space is looked at
// again and again: many that write at once use it up together.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (artifact.Digest, int64, error) {
	f, err := s.Spool(ctx, r, limit)
	if err != nil {
		return "", 0, err
	}
	defer f.Discard()
	if err := s.commit(f.t, f.Digest); err != nil {
		return "", 0, s.problem("storing", err)
	}
	return f.Digest, f.Size, nil
}

// Spooled is a stream that was written to a temporary file. It is no blob: a
// driver that has to know the digest before it can send anything reads it from
// here.
type Spooled struct {
	Digest artifact.Digest
	Size   int64
	t      *temp
}

// Read reads the file from its start, and Seek sets where.
func (f *Spooled) Read(p []byte) (int, error) { return f.t.f.Read(p) }

// Seek sets where Read goes on.
func (f *Spooled) Seek(offset int64, whence int) (int64, error) { return f.t.f.Seek(offset, whence) }

// Discard removes the file.
func (f *Spooled) Discard() { f.t.discard() }

// Spool writes what r holds to a temporary file, under the rules of Put. The
// caller discards it.
func (s *Store) Spool(ctx context.Context, r io.Reader, limit int64) (_ *Spooled, err error) {
	if limit < 0 {
		return nil, job.Errorf(job.KindInvalid, "a blob's limit is %d bytes", limit)
	}
	if err := s.checkSpace(); err != nil {
		return nil, err
	}
	t, err := s.newTemp()
	if err != nil {
		return nil, s.problem("storing", err)
	}
	f := &Spooled{t: t}
	if f.Digest, f.Size, err = s.write(ctx, t.f, r, limit); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Discard()
		return nil, s.problem("storing", err)
	}
	return f, nil
}

// temp is a file that has no name of its own yet. Its lock, held as long as it
// is open, tells others that its writer lives.
type temp struct {
	dir  *os.File
	f    *os.File
	name string // empty once it was renamed
}

func (s *Store) newTemp() (_ *temp, err error) {
	var random [16]byte
	rand.Read(random[:]) // never fails
	t := &temp{name: hex.EncodeToString(random[:])}
	if t.dir, err = openAt(s.root, tmpDir, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return nil, err
	}
	if err = s.at("create"); err == nil {
		t.f, err = openAt(t.dir, t.name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	}
	if err != nil {
		t.dir.Close()
		return nil, err
	}
	if err := tryLock(t.f); err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

// discard closes the file and removes it, unless it was renamed.
func (t *temp) discard() {
	if t.name != "" {
		removeAt(t.dir, t.name) // what stays is swept at a later start
	}
	t.f.Close()
	t.dir.Close()
}

// spaceEvery is after how many bytes the free space is looked at again. The
// smallest reserve is many times as much.
const spaceEvery = 16 << 20

// write copies r to f and answers the digest and size of what it wrote.
func (s *Store) write(ctx context.Context, f *os.File, r io.Reader, limit int64) (artifact.Digest, int64, error) {
	sum := sha256.New()
	buf := make([]byte, 128<<10)
	var size, sinceLook int64
	for {
		if err := ctx.Err(); err != nil {
			return "", 0, fmt.Errorf("storing a blob: %w", err)
		}
		n, readErr := r.Read(buf)
		if size += int64(n); size > limit {
			return "", 0, job.Errorf(job.KindInvalid, "the blob is larger than %d bytes", limit)
		}
		if sinceLook += int64(n); sinceLook >= spaceEvery {
			sinceLook = 0
			if err := s.checkSpace(); err != nil {
				return "", 0, err
			}
		}
		sum.Write(buf[:n])
		if err := s.at("write"); err != nil {
			return "", 0, err
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return "", 0, err
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return artifact.Digest(hex.EncodeToString(sum.Sum(nil))), size, nil
		case readErr != nil:
			return "", 0, &sourceError{readErr}
		}
	}
}

// sourceError is a failure of the reader that was given to Put. It is not the
// disk's, so problem leaves it alone.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "reading what is to be stored: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// commit gives a temporary file its name, durably, over a file that has it
// already: that one may be damaged, and its time has to be renewed in any case.
func (s *Store) commit(t *temp, d artifact.Digest) error {
	if err := s.at("sync"); err != nil {
		return err
	}
	if err := t.f.Sync(); err != nil {
		return err
	}
	made, err := mkdirAt(s.root, string(d[:2]))
	if err != nil {
		return err
	}
	if made {
		if err := s.root.Sync(); err != nil {
			return err
		}
	}
	shard, err := s.shard(d)
	if err != nil {
		return err
	}
	defer shard.Close()
	if err := s.rename(t, shard, d); err != nil {
		return err
	}
	if err := s.at("sync folder"); err != nil {
		return err
	}
	return shard.Sync()
}

// rename holds the folder's lock only as long as it has to: a sync takes longer
// than everything else.
func (s *Store) rename(t *temp, shard *os.File, d artifact.Digest) error {
	if err := lock(shard); err != nil {
		return err
	}
	defer unlock(shard)
	if err := touchAt(t.dir, t.name); err != nil {
		return err
	}
	if err := s.at("rename"); err != nil {
		return err
	}
	if err := renameAt(t.dir, t.name, shard, string(d)); err != nil {
		return err
	}
	t.name = ""
	return nil
}

// sweep removes temporary files whose writers are dead.
func (s *Store) sweep(now time.Time) error {
	dir, err := openAt(s.root, tmpDir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	list, err := names(dir)
	if err != nil {
		return err
	}
	for _, name := range list {
		st, err := statAt(dir, name)
		if err != nil || !st.regular || now.Sub(st.modTime) < staleAfter {
			continue
		}
		f, err := openAt(dir, name, unix.O_RDONLY, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil {
			removeAt(dir, name) // it costs space only
		}
		f.Close()
	}
	return nil
}

func (s *Store) at(step string) error {
	if s.fail == nil {
		return nil
	}
	return s.fail(step)
}
