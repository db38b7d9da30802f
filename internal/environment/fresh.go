package environment

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fewChildren is the number up to which it is cheaper to walk a path for each
// child of a directory than to open and close the directory.
const fewChildren = 6

// fresh reports whether every look would see the same again. It stops at the
// first that would not. An error means that the looks make no sense.
func (idx *index) fresh(root string) (bool, error) {
	if idx.Rules != rules || idx.Root != root {
		return false, nil
	}
	rootFD, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, nil
	}
	defer unix.Close(rootFD)
	c := cursor{rest: idx.looks}
	for len(c.rest) > 0 && !c.bad {
		dir, count := c.name(), c.uint32()
		if c.bad {
			break
		}
		if !c.sameIn(rootFD, dir, count) && !c.bad {
			return false, nil
		}
	}
	if c.bad {
		return false, errIndex
	}
	return true, nil
}

// cursor reads looks. Bad is set when they end too early or make no sense.
type cursor struct {
	rest []byte
	bad  bool
	st   unix.Stat_t
	path []byte // scratch, of children of directories that are not opened
}

// sameIn compares the children of one directory. Each part of its path is a
// look itself, so a link that took the place of one is found there.
func (c *cursor) sameIn(rootFD int, dir []byte, count uint32) bool {
	if count <= fewChildren {
		c.path = append(append(c.path[:0], dir[:len(dir)-1]...), '/')
		return c.sameChildren(rootFD, count, len(c.path))
	}
	// openat(2) is not worth a raw call: it happens once per directory.
	fd, err := unix.Openat(rootFD, string(dir[:len(dir)-1]), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return c.sameChildren(fd, count, 0)
}

// sameChildren compares count children, whose names go behind the first
// prefix bytes of c.path.
func (c *cursor) sameChildren(fd int, count uint32, prefix int) bool {
	for range count {
		name := c.name()
		k, want := c.stamp()
		if c.bad {
			return false
		}
		if prefix > 0 {
			c.path = append(c.path[:prefix], name...)
			name = c.path
		}
		errno := c.stat(fd, name)
		switch {
		case errno != 0 && k != stampAbsent:
			return false
		case errno != 0:
		case k == stampWeak && c.st.Mode == want.mode:
		case k == stampFull && stampOf(&c.st) == want:
		default:
			return false
		}
	}
	return true
}

// stat is fstatat(2) of a name that ends in NUL. This is the loop that every
// start of tako runs once per file: the raw call saves a third over
// unix.Fstatat, which copies the name and tells the scheduler.
func (c *cursor) stat(fd int, name []byte) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_NEWFSTATAT, uintptr(fd), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&c.st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	return errno
}

// take returns the next n bytes, nil at the end.
func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.bad, c.rest = true, nil
		return nil
	}
	s := c.rest[:n]
	c.rest = c.rest[n:]
	return s
}

// name returns the next name with its NUL.
func (c *cursor) name() []byte {
	length := c.take(2)
	if c.bad {
		return nil
	}
	name := c.take(int(binary.LittleEndian.Uint16(length)))
	if len(name) < 2 || name[len(name)-1] != 0 {
		c.bad = true
		return nil
	}
	return name
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) stamp() (k byte, s stamp) {
	b := c.take(1)
	if c.bad {
		return 0, s
	}
	switch k = b[0]; k {
	case stampAbsent:
	case stampWeak:
		s.mode = c.uint32()
	case stampFull:
		if b := c.take(36); b != nil {
			s.mode = binary.LittleEndian.Uint32(b)
			s.size = int64(binary.LittleEndian.Uint64(b[4:]))
			s.mtime = int64(binary.LittleEndian.Uint64(b[12:]))
			s.ctime = int64(binary.LittleEndian.Uint64(b[20:]))
			s.ino = binary.LittleEndian.Uint64(b[28:])
		}
	default:
		c.bad = true
	}
	return k, s
}
