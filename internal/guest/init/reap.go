package main

import (
	"syscall"
	"unsafe"

	"github.com/takovm/tako/internal/guest/wire"
)

const (
	sigBlock = 0 // SIG_BLOCK

	// reapBatch is how many children are reaped in one turn of the loop.
	reapBatch = 256
)

// childDied is the set of signals that has SIGCHLD in it alone.
const childDied = uint64(1) << (syscall.SIGCHLD - 1)

// reaper waits for every child and orphan. What it counts is all that
// the program and its descendants used: the kernel adds a child to whoever
// reaps it, and whatever nobody else reaps ends up here.
type reaper struct {
	bell int // a signalfd that can be read when a child has died

	more      bool // there was no time to look at all of them
	pid       int  // the program
	reaped    bool
	childless bool
	end       wire.Exited // WallNanos is the clock's reading at the exit
}

// listen has the deaths of children be told through the bell. It takes that
// this is the only thread, or another one would get the signal.
func (r *reaper) listen() syscall.Errno {
	set := childDied
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigBlock, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0); errno != 0 {
		return errno
	}
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&set)), 8,
		syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0, 0)
	r.bell = int(fd)
	return errno
}

// look reaps what is dead, a batch at most: however fast a program makes orphans,
// the loop has more to do.
func (r *reaper) look() {
	var info [128]byte
	read(r.bell, info[:]) // one is all there is: the signal does not queue
	r.more = false
	if r.pid == 0 {
		return
	}
	for range reapBatch {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|waitAll, &usage)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			r.childless = true
			return
		case pid == 0:
			return
		default:
			r.count(pid, status, &usage)
		}
	}
	r.more = true
}

func (r *reaper) count(pid int, status syscall.WaitStatus, usage *syscall.Rusage) {
	r.end.UserNanos += uint64(usage.Utime.Nano())
	r.end.SystemNanos += uint64(usage.Stime.Nano())
	r.end.MaxRSS = max(r.end.MaxRSS, uint64(usage.Maxrss)<<10)
	if pid == r.pid && !r.reaped {
		r.reaped = true
		r.end.Status = uint32(status)
		r.end.WallNanos = uint64(now())
	}
}
