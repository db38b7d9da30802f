package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

// ErrLocked is why a data directory cannot be had.
var ErrLocked = errors.New("another tako server uses")

// Lock makes this process the one server of a data directory, by its db
// directory. The lock ends with the process or with release.
func Lock(dataDir string) (release func() error, err error) {
	dir := filepath.Join(dataDir, "db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, job.Errorf(job.KindUnavailable, "making the database's directory: %w", err).
			WithHint("make %s writable, or name another data directory", dataDir)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "locking the data directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, job.Errorf(job.KindUnavailable, "%w %s", ErrLocked, dataDir).
			WithHint("stop it, or name another data directory with TAKO_VM_DATA_DIR")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}
