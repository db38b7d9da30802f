package main

import (
	"sync"
	"syscall"
	"unsafe"

	"github.com/takovm/tako/internal/guest/wire"
)

// reaper waits for every child and orphan on a thread of its own and rings
// bell, an eventfd, whenever the loop should look. What it counts is all that
// the program and its descendants used: the kernel adds a child to whoever
// reaps it, and whatever nobody else reaps ends up here.
type reaper struct {
	bell int

	mu        sync.Mutex
	pid       int // the program
	reaped    bool
	childless bool
	end       wire.Exited // WallNanos is the clock's reading at the exit
}

func (r *reaper) start(pid int) syscall.Errno {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return errno
	}
	r.bell, r.pid = int(fd), pid
	go r.wait()
	return 0
}

// wait ends with the last child, which is after everything was killed: until
// the program has exited there is one.
func (r *reaper) wait() {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, waitAll, &usage)
		if err == syscall.EINTR {
			continue
		}
		r.count(pid, status, &usage, err != nil)
		one := uint64(1)
		write(r.bell, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8))
		if err != nil {
			return
		}
	}
}

func (r *reaper) count(pid int, status syscall.WaitStatus, usage *syscall.Rusage, none bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if none {
		r.childless = true
		return
	}
	r.end.UserNanos += uint64(usage.Utime.Nano())
	r.end.SystemNanos += uint64(usage.Stime.Nano())
	r.end.MaxRSS = max(r.end.MaxRSS, uint64(usage.Maxrss)<<10)
	if pid == r.pid && !r.reaped {
		r.reaped = true
		r.end.Status = uint32(status)
		r.end.WallNanos = uint64(now())
	}
}

// acknowledge silences the bell.
func (r *reaper) acknowledge() {
	var count [8]byte
	read(r.bell, count[:])
}

// programReaped reports whether the program has exited.
func (r *reaper) programReaped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reaped
}

// done reports whether init has no child left.
func (r *reaper) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.childless
}

func (r *reaper) exited() wire.Exited {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end
}
