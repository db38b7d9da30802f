package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

const (
	runDir   = "run"
	lockFile = "lock"
)

// homeName is what a home is called: <pid>-<random>. Nothing else in run/ is
// ever touched.
var homeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]+-[0-9a-f]{8}$`) })

// Home is this process's own place in the data directory, run/<id>. It is
// locked for as long as the process lives; what lies in an unlocked one was
// left by a process that died.
type Home struct {
	ID   string // also the name of the process's cgroup
	Dir  string
	lock *os.File
}

// NewHome makes a home below dataDir, which it makes, too, if it is missing.
// The directory has to belong to this user alone: whoever else could write it
// could put an image there.
func NewHome(ctx context.Context, dataDir string) (_ *Home, err error) {
	id, err := newID(strconv.Itoa(os.Getpid()) + "-")
	if err != nil {
		return nil, err
	}
	run := filepath.Join(dataDir, runDir)
	if err := ownDirectories(dataDir, run); err != nil {
		return nil, err
	}
	var undo lifecycle.Undo
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.Run())
		}
	}()
	// Nobody reclaims between our mkdir and our lock.
	all, err := lockAll(ctx, run)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	h := &Home{ID: id, Dir: filepath.Join(run, id)}
	if err := os.Mkdir(h.Dir, 0o700); err != nil {
		return nil, unwritable(dataDir, err)
	}
	undo.Add(func() error { return removeHome(h.Dir) })
	if h.lock, err = newLock(filepath.Join(h.Dir, lockFile)); err != nil {
		return nil, unwritable(dataDir, err)
	}
	undo.Release()
	return h, nil
}

// Close removes the home, which must be empty of sandboxes.
func (h *Home) Close() error {
	return errors.Join(removeHome(h.Dir), h.lock.Close())
}

// removeHome removes a home, its lock last: whoever finds a home without one
// finds an empty directory.
func removeHome(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Name() == lockFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("removing %s: %w", dir, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, lockFile), dir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing %s: %w", dir, err)
		}
	}
	return nil
}

// newLock makes a lock file, locks it and writes into it which file it is: a
// copy of a data directory does not stand for the process that the original
// belongs to.
func newLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		var self string
		if self, err = identity(f); err == nil {
			_, err = f.WriteString(self)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// identity names a file by device and inode.
func identity(f *os.File) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d:%d\n", st.Dev, st.Ino), nil
}

// lockPatience is how long one tako waits for another to make a home or to
// look for dead ones, which takes milliseconds.
const lockPatience = 10 * time.Second

// lockAll locks run/ against the making and reclaiming of homes.
func lockAll(ctx context.Context, run string) (*os.File, error) {
	path := filepath.Join(run, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, unwritable(filepath.Dir(run), err)
	}
	patient, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	err = lifecycle.Flock(patient, f, syscall.LOCK_EX)
	switch {
	case err == nil:
		return f, nil
	case ctx.Err() != nil: // as it is
	case patient.Err() != nil:
		err = job.Errorf(job.KindUnavailable, "another process holds %s", path).
			WithHint("see who with `fuser %s`, and end it if it hangs", path)
	default:
		err = unwritable(filepath.Dir(run), err)
	}
	f.Close()
	return nil, err
}

// newID returns prefix and eight random hex digits.
func newID(prefix string) (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return prefix + hex.EncodeToString(b[:]), nil
}
