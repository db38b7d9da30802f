package main

import (
	"syscall"
	"unsafe"
)

// Numbers of linux/amd64 that package syscall does not have.
const (
	atSymlinkNoFollow = 0x100
	atRemoveDir       = 0x200
	oPath             = 0x200000

	closeRangeCloexec = 4
	sysCloseRange     = 436

	clockMonotonic = 1

	pollIn  = 0x1
	pollOut = 0x4

	waitAll = 0x40000000 // __WALL: also children that were cloned without SIGCHLD
)

type pollFD struct {
	fd      int32
	events  int16
	revents int16
}

// poll waits for fds, at most millis, or forever if millis is negative. A
// signal ends it early with nothing ready.
func poll(fds []pollFD, millis int) (ready bool) {
	n, _, errno := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(millis))
	if errno != 0 {
		for i := range fds {
			fds[i].revents = 0
		}
		return false
	}
	return n > 0
}

// receive and send never block. They ask for that with each call because the
// socket is another one after a restore, with flags of its own.
func receive(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func send(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

func read(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(fd, b)
		if errno := errnoOf(err); errno != syscall.EINTR {
			return n, errno
		}
	}
}

func write(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Write(fd, b)
		if errno := errnoOf(err); errno != syscall.EINTR {
			return n, errno
		}
	}
}

// openat never follows a symbolic link in name's last part, and name has one.
func openat(dir int, name string, flags int, mode uint32) (int, syscall.Errno) {
	for {
		fd, err := syscall.Openat(dir, name, flags|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, mode)
		if errno := errnoOf(err); errno != syscall.EINTR {
			return fd, errno
		}
	}
}

func statat(dir int, name string, st *syscall.Stat_t) syscall.Errno {
	p, err := syscall.BytePtrFromString(name)
	if err != nil {
		return syscall.EINVAL
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_NEWFSTATAT, uintptr(dir), uintptr(unsafe.Pointer(p)),
		uintptr(unsafe.Pointer(st)), atSymlinkNoFollow, 0, 0)
	return errno
}

func unlinkat(dir int, name string, flags uintptr) syscall.Errno {
	p, err := syscall.BytePtrFromString(name)
	if err != nil {
		return syscall.EINVAL
	}
	_, _, errno := syscall.Syscall(syscall.SYS_UNLINKAT, uintptr(dir), uintptr(unsafe.Pointer(p)), flags)
	return errno
}

// entries reads the names in the open directory dir, at most limit of them.
func entries(dir, limit int) (names []string, more bool, errno syscall.Errno) {
	buf := make([]byte, 8<<10)
	for {
		n, err := syscall.ReadDirent(dir, buf)
		if err != nil {
			return names, false, errnoOf(err)
		}
		if n <= 0 {
			return names, false, 0
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names)
		if len(names) > limit {
			return names[:limit], true, 0
		}
	}
}

// now is the monotonic clock, in nanoseconds.
func now() int64 {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return syscall.EIO
}
