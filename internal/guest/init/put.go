package main

import (
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// upload is the file that is arriving. One that failed goes on arriving, into
// nothing, until the host has sent what it announced.
type upload struct {
	active bool
	ask    wire.PutBegin
	dir    int // the directory it is in
	name   string
	fd     int
	left   uint64
	errno  syscall.Errno // the first thing that went wrong
}

func (g *guest) putFrame(t wire.Type, payload []byte) error {
	u := &g.upload
	switch {
	case t == wire.TypePutBegin && !u.active:
		if err := u.begin(payload); err != nil {
			return err
		}
	case t == wire.TypePutData && u.active && uint64(len(payload)) <= u.left:
		u.write(payload)
		u.left -= uint64(len(payload))
	case t == wire.TypePutAbort && u.active && len(payload) == 0:
		u.left = 0
		u.fail(syscall.ECANCELED)
	default:
		return wire.ErrValue
	}
	if u.left > 0 {
		return nil
	}
	errno := u.finish()
	if errno != 0 {
		g.put = 0
	} else if g.put < 255 {
		g.put++
	}
	return g.answer(wire.Done{Errno: uint16(errno)}.Append(nil))
}

// begin makes the file. It is always a new one: writing to what is there could
// be writing through a link or into a pipe that the program put in its place.
func (u *upload) begin(payload []byte) error {
	*u = upload{active: true, dir: -1, fd: -1}
	if err := u.ask.Decode(payload); err != nil {
		return err
	}
	u.left = u.ask.Size
	parts, ok := wire.SplitPath(u.ask.Path)
	if !ok {
		u.fail(syscall.EINVAL)
		return nil
	}
	last := len(parts) - 1
	u.name = parts[last]
	if u.dir, u.errno = descend(parts[:last], true); u.errno != 0 {
		u.dir = -1
		return nil
	}
	const flags = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_EXCL
	fd, errno := openat(u.dir, u.name, flags, 0o600)
	if errno == syscall.EEXIST {
		if errno = unlinkat(u.dir, u.name, 0); errno == 0 {
			fd, errno = openat(u.dir, u.name, flags, 0o600)
		}
	}
	if u.errno = errno; errno == 0 {
		u.fd = fd
	}
	return nil
}

func (u *upload) fail(errno syscall.Errno) {
	if u.errno == 0 {
		u.errno = errno
	}
}

func (u *upload) write(b []byte) {
	for u.errno == 0 && len(b) > 0 {
		n, errno := write(u.fd, b)
		if errno != 0 {
			u.fail(errno)
			return
		}
		b = b[n:]
	}
}

// finish gives the file its owner and mode, or removes what is there of it.
func (u *upload) finish() syscall.Errno {
	if u.fd >= 0 {
		u.fail(errnoOf(syscall.Fchown(u.fd, int(u.ask.UID), int(u.ask.GID))))
		u.fail(errnoOf(syscall.Fchmod(u.fd, u.ask.Mode&0o777)))
		u.fail(errnoOf(syscall.Close(u.fd)))
		if u.errno != 0 {
			unlinkat(u.dir, u.name, 0)
		}
	}
	if u.dir >= 0 {
		syscall.Close(u.dir)
	}
	u.active = false
	return u.errno
}

func (g *guest) mkdir(payload []byte) error {
	var m wire.Mkdir
	if err := m.Decode(payload); err != nil {
		return err
	}
	return g.answer(wire.Done{Errno: uint16(makeDir(&m))}.Append(nil))
}

func makeDir(m *wire.Mkdir) syscall.Errno {
	parts, ok := wire.SplitPath(m.Path)
	if !ok {
		return syscall.EINVAL
	}
	parent, errno := descend(parts, true)
	if errno != 0 {
		return errno
	}
	syscall.Close(parent)
	// Owner and mode need a descriptor that is more than a path.
	dir, errno := reopen(parts)
	if errno != 0 {
		return errno
	}
	defer syscall.Close(dir)
	if errno := errnoOf(syscall.Fchown(dir, int(m.UID), int(m.GID))); errno != 0 {
		return errno
	}
	return errnoOf(syscall.Fchmod(dir, m.Mode&0o777))
}

// descend opens the directory that parts lead to from the root, part by part
// and through no symbolic link. With create, what is missing is made, owned by
// root with mode 0755. The descriptor is only good to start other paths from.
func descend(parts []string, create bool) (int, syscall.Errno) {
	const flags = oPath | syscall.O_DIRECTORY
	if len(parts) == 0 {
		return openat(-1, "/", flags, 0)
	}
	dir := -1
	for i, part := range parts {
		if i == 0 {
			part = "/" + part
		}
		next, errno := openat(dir, part, flags, 0)
		if errno == syscall.ENOENT && create {
			if errno = errnoOf(syscall.Mkdirat(dir, part, 0o755)); errno == 0 || errno == syscall.EEXIST {
				next, errno = openat(dir, part, flags, 0)
			}
		}
		if dir >= 0 {
			syscall.Close(dir)
		}
		if errno != 0 {
			return -1, errno
		}
		dir = next
	}
	return dir, 0
}

// reopen opens the same directory for reading.
func reopen(parts []string) (int, syscall.Errno) {
	last := len(parts) - 1
	parent, errno := descend(parts[:last], false)
	if errno != 0 {
		return -1, errno
	}
	defer syscall.Close(parent)
	return openat(parent, parts[last], syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
}
