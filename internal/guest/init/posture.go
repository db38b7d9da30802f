package main

import (
	"syscall"
	"unsafe"

	"github.com/takovm/tako/internal/guest/wire"
)

const (
	prSetDumpable   = 4
	prCapbsetDrop   = 24
	prSetNoNewPrivs = 38
	prCapAmbient    = 47
	prAmbientClear  = 4

	capVersion3 = 0x20080522
	lastCap     = 63 // the kernel says EINVAL after its own last one
)

// lastSignal is the highest signal number there is.
const lastSignal = 64

// ignored are the signals on which Go's runtime would end the process. Nobody
// inside may signal init, but an operator's tool outside can.
var ignored = [...]syscall.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTRAP, syscall.SIGABRT,
	syscall.SIGPIPE, syscall.SIGTERM, syscall.SIGSTKFLT, syscall.SIGSYS,
}

// secure brings init into the state in which it may start code that nobody
// trusts. Whatever fails here is the end of the sandbox.
func secure() (wire.Stage, syscall.Errno) {
	if syscall.Getpid() != 1 {
		return wire.StagePosture, syscall.EPERM
	}
	syscall.CloseOnExec(controlFD)
	for _, step := range [...]func() syscall.Errno{holdStdio, hideDescriptors, dropCapabilities, hideMemory, ignoreSignals,
		sandbox.reaper.listen} {
		if errno := step(); errno != 0 {
			return wire.StagePosture, errno
		}
	}
	// Modes are given with each file; the program gets an umask of its own.
	syscall.Umask(0)
	return wire.StageDevices, removeDevices()
}

// holdStdio makes descriptors 0 to 2 the null device: whatever the engine has
// put there is the host's, and no pipe of the program's may ever have such a
// number.
func holdStdio() syscall.Errno {
	null, errno := openat(-1, "/dev/null", syscall.O_RDWR, 0)
	if errno != 0 {
		return errno
	}
	for fd := range 3 {
		if fd == null {
			continue
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_DUP3, uintptr(null), uintptr(fd), 0); errno != 0 {
			return errno
		}
	}
	if null > 2 {
		syscall.Close(null)
	}
	return 0
}

// hideDescriptors keeps the control socket, and anything that an engine left
// open by mistake, from the program.
func hideDescriptors() syscall.Errno {
	_, _, errno := syscall.RawSyscall(sysCloseRange, controlFD, ^uintptr(0)>>33, closeRangeCloexec)
	return errno
}

// dropCapabilities empties this thread's bounding, ambient and inheritable
// sets. There is no other thread.
func dropCapabilities() syscall.Errno {
	for c := uintptr(0); c <= lastCap; c++ {
		if errno := prctl(prCapbsetDrop, c, 0); errno == syscall.EINVAL && c > 0 {
			break
		} else if errno != 0 {
			return errno
		}
	}
	if errno := prctl(prCapAmbient, prAmbientClear, 0); errno != 0 {
		return errno
	}
	header := struct {
		version uint32
		pid     int32
	}{version: capVersion3}
	var data [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	if errno != 0 {
		return errno
	}
	data[0].inheritable, data[1].inheritable = 0, 0
	_, _, errno = syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	return errno
}

// hideMemory makes init's /proc entry root's alone and forbids new privileges
// for whatever it starts.
func hideMemory() syscall.Errno {
	if errno := prctl(prSetDumpable, 0, 0); errno != 0 {
		return errno
	}
	return prctl(prSetNoNewPrivs, 1, 0)
}

func ignoreSignals() syscall.Errno {
	for _, sig := range ignored {
		if errno := disposition(sig, 1); errno != 0 {
			return errno
		}
	}
	return 0
}

// sigaction is the kernel's struct on amd64.
type sigaction struct {
	handler  uintptr // 0 is SIG_DFL, 1 is SIG_IGN
	flags    uint64
	restorer uintptr
	mask     uint64
}

func disposition(sig syscall.Signal, handler uintptr) syscall.Errno {
	action := sigaction{handler: handler}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	return errno
}

func prctl(option, a, b uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, a, b, 0, 0, 0)
	return errno
}
