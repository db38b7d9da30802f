// Package early does what a sandbox's processes can do before gVisor's
// packages are initialised, which is half of what such a process costs.
//
// Go initialises packages whose imports are ready in the order of their import
// paths (Go specification, "Program initialization"), and this path sorts
// before gvisor.dev. Should that change, everything still works, only later.
//
// Two things are done here:
//
//   - The process that gVisor executes to unmount /proc does so and exits.
//   - A sandbox's process empties its bounding set in the thread that it has
//     and executes itself again. gVisor would do it in place, for which Go has
//     to stop every thread for each of the 40 capabilities, and leaves it out
//     where CAP_SETPCAP is gone.
package early

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"unsafe"
)

// The names under which gVisor executes our binary again: as a sandbox, and
// from there, with a command, to let go of /proc.
const (
	SandboxArg0   = "runsc-sandbox"
	UmountArg0    = "/proc/self/exe"
	UmountCommand = "umount"
)

// failure is why a sandbox could not be prepared; nil elsewhere.
var failure error

// Err is what went wrong. A sandbox's main has to ask for it first.
func Err() error { return failure }

func init() {
	switch args := os.Args; {
	case Umounts(args):
		umount(args)
	case Boots(args):
		failure = trimBounding()
	}
}

// Umounts reports a process that was executed to unmount /proc.
func Umounts(args []string) bool {
	return len(args) > 1 && args[0] == UmountArg0 && args[1] == UmountCommand
}

// Boots reports a process that was executed to be a sandbox, and not once more
// after it has entered its chroot.
func Boots(args []string) bool {
	return len(args) > 0 && args[0] == SandboxArg0 && slices.Contains(args, "boot") &&
		!slices.Contains(args, "--setup-root=false")
}

// umount waits for the byte that says "now" and unmounts /proc. It returns
// when the command is another than the one it knows: gVisor's own code takes
// over.
func umount(args []string) {
	if !slices.Equal(args[2:], []string{"--sync-fd=3", "/proc"}) {
		return
	}
	var b [1]byte
	if n, err := syscall.Read(3, b[:]); n != 1 || err != nil {
		os.Exit(1)
	}
	const detach = 2 // MNT_DETACH
	if err := syscall.Unmount("/proc", detach); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

const (
	prCapbsetDrop = 24 // linux/prctl.h
	capVersion3   = 0x20080522
	capSetpcap    = 8  // linux/capability.h
	capSysPtrace  = 19 // systrap asks for it, over the sandbox's own processes
	lastCap       = 63 // the kernel says EINVAL after its own last one
)

// capData is the kernel's struct of 32 capabilities.
type capData struct{ effective, permitted, inheritable uint32 }

// trimBounding empties the bounding set but for CAP_SYS_PTRACE, gives up
// CAP_SETPCAP, which nothing needs after that, and executes this program once
// more: the one thread that comes out of it has what the calling thread had.
func trimBounding() error {
	header := struct {
		version uint32
		pid     int32
	}{version: capVersion3}
	var data [2]capData
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	if errno != 0 {
		return fmt.Errorf("reading the sandbox's capabilities: %w", errno)
	}
	if data[0].effective&(1<<capSetpcap) == 0 {
		return nil // done, or gVisor can trim no more than we
	}
	for c := uintptr(0); c <= lastCap; c++ {
		if c == capSysPtrace {
			continue
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prCapbsetDrop, c, 0)
		if errno == syscall.EINVAL && c > 0 {
			break
		}
		if errno != 0 {
			return fmt.Errorf("dropping capability %d from the bounding set: %w", c, errno)
		}
	}
	for _, set := range []*uint32{&data[0].effective, &data[0].permitted, &data[0].inheritable} {
		*set &^= 1 << capSetpcap
	}
	_, _, errno = syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	if errno != 0 {
		return fmt.Errorf("dropping CAP_SETPCAP: %w", errno)
	}
	err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	return fmt.Errorf("executing the sandbox's process again: %w", err)
}
