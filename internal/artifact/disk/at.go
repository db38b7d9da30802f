package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The calls below take a folder that is open and a name in it, one component
// and never a path: nothing on the way to a blob can be a link, and nobody who
// renames a folder gets us elsewhere.

// on lends the descriptor of a folder to call, which is tried again when a
// signal interrupts it. It fails when the folder was closed.
func on(dir *os.File, op, name string, call func(fd int) error) error {
	var failed error
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	err = conn.Control(func(fd uintptr) {
		for {
			if failed = call(int(fd)); failed != unix.EINTR {
				return
			}
		}
	})
	if err != nil { // the folder was closed, which Control has no error of the os package for
		failed = fs.ErrClosed
	}
	if failed != nil {
		return &fs.PathError{Op: op, Path: filepath.Join(dir.Name(), name), Err: failed}
	}
	return nil
}

func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	var opened int
	err := on(dir, "open", name, func(fd int) (err error) {
		opened, err = unix.Openat(fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(opened), filepath.Join(dir.Name(), name)), nil
}

// mkdirAt makes a folder; one that is there is fine. It reports whether it
// made it.
func mkdirAt(dir *os.File, name string) (bool, error) {
	err := on(dir, "mkdir", name, func(fd int) error { return unix.Mkdirat(fd, name, 0o700) })
	if pe, ok := err.(*fs.PathError); ok && pe.Err == unix.EEXIST {
		return false, nil
	}
	return err == nil, err
}

func removeAt(dir *os.File, name string) error {
	return on(dir, "remove", name, func(fd int) error { return unix.Unlinkat(fd, name, 0) })
}

// renameAt moves from/name to/newName, over what is there.
func renameAt(from *os.File, name string, to *os.File, newName string) error {
	return on(from, "rename", name, func(fromFD int) error {
		return on(to, "rename", newName, func(toFD int) error { return unix.Renameat(fromFD, name, toFD, newName) })
	})
}

// touchAt sets the times of a file to now.
func touchAt(dir *os.File, name string) error {
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	return on(dir, "utimes", name, func(fd int) error {
		return unix.UtimesNanoAt(fd, name, now, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// stat is what we want to know of a name.
type stat struct {
	regular bool
	size    int64
	modTime time.Time
}

func statAt(dir *os.File, name string) (stat, error) {
	var st unix.Stat_t
	err := on(dir, "stat", name, func(fd int) error { return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return stat{
		regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
		size:    st.Size,
		modTime: time.Unix(st.Mtim.Unix()),
	}, err
}

// lock waits for the lock of a folder; closing it gives it back, too. Locks are
// held for a rename or a removal, so a waiter waits for no more than that.
func lock(f *os.File) error {
	return on(f, "lock", "", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX) })
}

func unlock(f *os.File) {
	on(f, "unlock", "", func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) }) // cannot fail on an open file
}

// tryLock takes a lock that nobody holds.
func tryLock(f *os.File) error {
	return on(f, "lock", "", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
}

// names lists a folder.
func names(dir *os.File) ([]string, error) {
	// A descriptor of its own: reading a folder moves its offset.
	d, err := openAt(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
