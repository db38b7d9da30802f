package main

import (
	"syscall"
	"unsafe"

	"github.com/takovm/tako/internal/guest/wire"
)

// A held program was started before its script is known. The script's name is
// a pipe: the interpreter comes up, opens it and waits there, in the very call
// in which it would read its script. When the program is released, the name is
// a file with the script, and the pipe delivers the same bytes. What runs is
// therefore the interpreter's own main program, with nothing of ours in it.

const (
	// holdRound is how long init waits between two looks whether the program
	// reads, in milliseconds.
	holdRound = 2

	cpuClockScheduled = 2 // CPUCLOCK_SCHED, linux/posix-timers.h
)

// gate is the pipe that holds a program.
type gate struct {
	dir    int // of the script
	name   string
	pipe   int   // init's end, once the program reads
	open   bool  // released: the script is on its way from the file to the pipe
	script int   // the file
	off    int64 // how much of it the pipe has taken
	cpu    int64 // what the program had used when it was released, nanoseconds
}

// make puts the pipe where the script will be.
func (g *gate) make(script string) syscall.Errno {
	parts, ok := wire.SplitPath(script)
	if !ok {
		return syscall.EINVAL
	}
	last := len(parts) - 1
	dir, errno := descend(parts[:last], true)
	if errno != 0 {
		return errno
	}
	*g = gate{dir: dir, name: parts[last], pipe: -1}
	if errno = mkfifoat(dir, g.name, 0o444); errno != 0 {
		syscall.Close(dir)
	}
	return errno
}

// reached reports whether the program reads: only then can the pipe be opened
// for writing.
func (g *gate) reached() (bool, syscall.Errno) {
	fd, errno := openat(g.dir, g.name, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	switch errno {
	case 0:
		g.pipe = fd
		return true, 0
	case syscall.ENXIO:
		return false, 0
	}
	return false, errno
}

// release opens the script. From then on it is poured.
func (g *gate) release() syscall.Errno {
	fd, errno := openat(g.dir, g.name, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return errno
	}
	var st syscall.Stat_t
	errno = errnoOf(syscall.Fstat(fd, &st))
	if errno == 0 && st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		errno = syscall.ENOENT // still the pipe: nobody has put a script there
	}
	if errno != 0 {
		syscall.Close(fd)
		return errno
	}
	g.open, g.script = true, fd
	return 0
}

// pour moves as much of the script as the pipe takes now. The end, the
// script's or a program's that reads no further, closes the gate.
func (g *gate) pour() {
	for {
		n, err := syscall.Pread(g.script, dropped[:], g.off)
		if err == nil && n > 0 {
			written, errno := write(g.pipe, dropped[:n])
			if errno == syscall.EAGAIN {
				return
			}
			if errno == 0 {
				g.off += int64(written)
				continue
			}
		}
		syscall.Close(g.script)
		g.open = false
		g.close()
		return
	}
}

// close lets go of the pipe, which is the end of the script.
func (g *gate) close() {
	syscall.Close(g.dir)
	if g.pipe >= 0 {
		syscall.Close(g.pipe)
	}
}

// hold starts the program with its gate closed.
func (g *guest) hold() error {
	p := &g.program
	if errno := p.gate.make(p.run.Hold); errno != 0 {
		*p = program{}
		return g.answer(wire.StartFailed{Stage: wire.StageHold, Errno: uint16(errno)}.Append(nil))
	}
	pid, stage, errno := p.spawn()
	if errno != 0 {
		p.gate.close()
		*p = program{}
		return g.answer(wire.StartFailed{Stage: stage, Errno: uint16(errno)}.Append(nil))
	}
	p.phase, p.pid = holding, pid
	p.args, p.env = nil, nil
	g.reaper.pid = pid
	return nil
}

// lookAtGate says Held as soon as the program reads.
func (g *guest) lookAtGate() {
	p := &g.program
	if g.reaper.reaped {
		g.holdFailed(syscall.ECHILD)
		return
	}
	switch ok, errno := p.gate.reached(); {
	case errno != 0:
		g.holdFailed(errno)
	case ok:
		p.phase = held
		g.out.add(wire.Held{PID: uint32(p.pid)}.Append(nil))
	}
}

// release lets the program go.
func (g *guest) release(payload []byte) error {
	p := &g.program
	if p.phase != held || len(payload) != 0 {
		return wire.ErrValue
	}
	if g.reaper.reaped {
		g.holdFailed(syscall.ECHILD)
		return nil
	}
	if errno := p.gate.release(); errno != 0 {
		g.holdFailed(errno)
		return nil
	}
	p.gate.cpu, p.started = processCPU(p.pid), now()
	p.gate.pour()
	p.phase = running
	return g.answer(wire.Started{PID: uint32(p.pid)}.Append(nil))
}

// holdFailed ends a program that was never let go: a sandbox has no second one.
func (g *guest) holdFailed(errno syscall.Errno) {
	p := &g.program
	p.phase = exited
	p.gate.close()
	p.closeAll()
	syscall.Kill(-1, syscall.SIGKILL)
	g.out.add(wire.StartFailed{Stage: wire.StageHold, Errno: uint16(errno)}.Append(nil))
}

// lessWarmUp takes what the program used before it was released out of end.
func (g *gate) lessWarmUp(end *wire.Exited) {
	user := min(uint64(g.cpu), end.UserNanos)
	end.UserNanos -= user
	end.SystemNanos -= min(uint64(g.cpu)-user, end.SystemNanos)
}

func mkfifoat(dir int, name string, mode uint32) syscall.Errno {
	p, err := syscall.BytePtrFromString(name)
	if err != nil {
		return syscall.EINVAL
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_MKNODAT, uintptr(dir), uintptr(unsafe.Pointer(p)),
		uintptr(syscall.S_IFIFO|mode), 0, 0, 0)
	return errno
}

// processCPU is the processor time that pid has used, all its threads together,
// in nanoseconds; 0 where it cannot be told. (clock_getcpuclockid(3))
func processCPU(pid int) int64 {
	var ts syscall.Timespec
	clock := uintptr(^pid)<<3 | cpuClockScheduled
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0
	}
	return ts.Nano()
}
