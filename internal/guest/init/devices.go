package main

import "syscall"

// keptDevices are the entries of /dev that ordinary programs use. The rest,
// such as the guest kernel's own fuse and net/tun, is attack surface.
var keptDevices = [...]string{"null", "zero", "full", "random", "urandom", "tty", "shm", "pts", "ptmx", "fd", "stdin",
	"stdout", "stderr"}

// maxDevices bounds the entries of a directory below /dev, maxDeviceDepth how
// deep such directories go.
const (
	maxDevices     = 4096
	maxDeviceDepth = 4
)

// removeDevices unlinks every other entry of /dev.
func removeDevices() syscall.Errno {
	if errno := privateDev(); errno != 0 {
		return errno
	}
	dev, errno := openat(-1, "/dev", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errno != 0 {
		return errno
	}
	defer syscall.Close(dev)
	names, more, errno := entries(dev, maxDevices)
	if more {
		return syscall.E2BIG
	}
	for _, name := range names {
		if errno == 0 && !keptDevice(name) {
			errno = remove(dev, name, maxDeviceDepth)
		}
	}
	return errno
}

func keptDevice(name string) bool {
	for _, kept := range keptDevices {
		if name == kept {
			return true
		}
	}
	return false
}

// remove unlinks name, and what is below it if it is a directory.
func remove(dir int, name string, depth int) syscall.Errno {
	errno := unlinkat(dir, name, 0)
	if errno != syscall.EISDIR || depth == 0 {
		return errno
	}
	sub, errno := openat(dir, name, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errno != 0 {
		return errno
	}
	defer syscall.Close(sub)
	names, more, errno := entries(sub, maxDevices)
	if more {
		return syscall.E2BIG
	}
	for _, child := range names {
		if errno == 0 {
			errno = remove(sub, child, depth-1)
		}
	}
	if errno != 0 {
		return errno
	}
	return unlinkat(dir, name, atRemoveDir)
}

// privateDev is the guard against an init that was started by mistake where
// /dev is a real machine's. It accepts a file system that nobody shares: the
// guest kernel's "dev" or a tmpfs that was mounted at /dev, in a pid namespace
// of which this is the first process. A devtmpfs is one instance for a whole
// machine and never accepted.
func privateDev() syscall.Errno {
	if syscall.Getpid() != 1 {
		return syscall.EPERM
	}
	table, errno := readAll("/proc/self/mountinfo", 256<<10)
	if errno != 0 {
		return errno
	}
	switch mountType(table, "/dev") {
	case "dev", "tmpfs":
		return 0
	}
	return syscall.EXDEV
}

// mountType returns the type of the file system that is mounted at path last,
// "" if none is, from a table like /proc/self/mountinfo.
func mountType(table, path string) string {
	kind := ""
	for table != "" {
		var line string
		line, table = field(table, '\n')
		if point, t := mountLine(line); point == path {
			kind = t
		}
	}
	return kind
}

// mountLine takes mount point and type from a line of mountinfo: five fields,
// the point being the fifth, options up to a "-", the type.
func mountLine(line string) (point, kind string) {
	var word string
	for i := 0; line != ""; i++ {
		word, line = field(line, ' ')
		if i == 4 {
			point = word
		}
		if i > 5 && word == "-" {
			kind, _ = field(line, ' ')
			return point, kind
		}
	}
	return "", ""
}

func field(s string, end byte) (head, tail string) {
	for i := range len(s) {
		if s[i] == end {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func readAll(path string, limit int) (string, syscall.Errno) {
	fd, errno := openat(-1, path, syscall.O_RDONLY, 0)
	if errno != 0 {
		return "", errno
	}
	defer syscall.Close(fd)
	var all []byte
	buf := make([]byte, 8<<10)
	for {
		n, errno := read(fd, buf)
		if errno != 0 {
			return "", errno
		}
		if n == 0 {
			return string(all), 0
		}
		if all = append(all, buf[:n]...); len(all) > limit {
			return "", syscall.E2BIG
		}
	}
}
