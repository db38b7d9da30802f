package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

const (
	runDir   = "run"
	lockFile = "lock"
)

// Home is this process's own place in the data directory, run/<id>. It is
// locked for as long as the process lives; what lies in an unlocked one was
// left by a process that died.
type Home struct {
	ID   string // also the name of the process's cgroup
	Dir  string
	lock *os.File
}

// NewHome makes a home below dataDir.
func NewHome(dataDir string) (_ *Home, err error) {
	id, err := newID(strconv.Itoa(os.Getpid()) + "-")
	if err != nil {
		return nil, err
	}
	run := filepath.Join(dataDir, runDir)
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, unwritable(dataDir, err)
	}
	var undo lifecycle.Undo
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.Run())
		}
	}()
	// Nobody reclaims between our mkdir and our lock.
	all, err := lock(filepath.Join(run, lockFile), syscall.LOCK_EX)
	if err != nil {
		return nil, unwritable(dataDir, err)
	}
	defer all.Close()
	h := &Home{ID: id, Dir: filepath.Join(run, id)}
	if err := os.Mkdir(h.Dir, 0o700); err != nil {
		return nil, unwritable(dataDir, err)
	}
	undo.Add(func() error { return os.RemoveAll(h.Dir) })
	if h.lock, err = lock(filepath.Join(h.Dir, lockFile), syscall.LOCK_EX); err != nil {
		return nil, unwritable(dataDir, err)
	}
	undo.Release()
	return h, nil
}

// Close removes the home, which must be empty of sandboxes.
func (h *Home) Close() error {
	err := os.RemoveAll(h.Dir)
	if err != nil {
		err = fmt.Errorf("removing %s: %w", h.Dir, err)
	}
	return errors.Join(err, h.lock.Close())
}

// newID returns prefix and eight random hex digits.
func newID(prefix string) (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return prefix + hex.EncodeToString(b[:]), nil
}

// lock opens path, making it if need be, and locks it. The lock ends with the
// descriptor, so with the process.
func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return f, nil
}

// unwritable explains a data directory that cannot be used.
func unwritable(dataDir string, err error) error {
	e := job.Errorf(job.KindUnavailable, "the data directory %s cannot be used: %w", dataDir, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return e.WithHint("free some space there, or name another directory with TAKO_VM_DATA_DIR")
	}
	return e.WithHint("make it writable for this user, or name another one with TAKO_VM_DATA_DIR")
}
