package sandbox

import (
	"errors"
	"os"
	"syscall"

	"github.com/takovm/tako/internal/job"
)

// ownDirectories makes the data directory and its run directory where they are
// missing, and refuses those that are not this user's alone.
func ownDirectories(dataDir, run string) error {
	for _, dir := range []string{dataDir, run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return unwritable(dataDir, err)
		}
	}
	// The data directory itself may be reached by a link, to another disk say.
	if err := OwnDirectory(dataDir); err != nil {
		return err
	}
	info, err := os.Lstat(run)
	if err != nil {
		return unwritable(dataDir, err)
	}
	return ownDirectory(run, info)
}

// OwnDirectory refuses a directory that is not this user's alone.
func OwnDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return unwritable(dir, err)
	}
	return ownDirectory(dir, info)
}

func ownDirectory(dir string, info os.FileInfo) error {
	if !info.IsDir() {
		return job.Errorf(job.KindUnavailable, "%s is not a directory", dir).
			WithHint("remove it, or name another data directory with TAKO_VM_DATA_DIR")
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return job.Errorf(job.KindUnavailable, "%s belongs to another user", dir).
			WithHint("chown it to the user that runs tako, or name another data directory with TAKO_VM_DATA_DIR")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return job.Errorf(job.KindUnavailable, "%s can be written by others (mode %04o)", dir, info.Mode().Perm()).
			WithHint("chmod go-w %s", dir)
	}
	return nil
}

// unwritable explains a data directory that cannot be used.
func unwritable(dataDir string, err error) error {
	e := job.Errorf(job.KindUnavailable, "the data directory %s cannot be used: %w", dataDir, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return e.WithHint("free some space there, or name another directory with TAKO_VM_DATA_DIR")
	}
	return e.WithHint("make it writable for this user, or name another one with TAKO_VM_DATA_DIR")
}
