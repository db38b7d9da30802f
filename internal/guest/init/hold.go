package main

import (
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"github.com/takovm/tako/internal/guest/wire"
)

// A held program was started before its script is known. The script's name is
// a pipe: the interpreter comes up, opens it and waits there, in the very call
// in which it would open its script. There a sandbox is saved. In each clone
// the interpreter is let open the pipe, does what it does between opening and
// reading, and waits again. When the program is released, the name is a file with
// the script, and the pipe delivers the same bytes. What runs is therefore the
// interpreter's own main program, with nothing of ours in it.
//
// Whether a program waits to open the pipe only opening it would tell, which ends
// the call. So what is looked at is whether the program sleeps. One that slept
// elsewhere is saved there, and gets to its script in every clone.

const (
	// holdRound is how long init waits between two looks at a program that comes
	// up or is to open its script, in milliseconds.
	holdRound = 2
	// holdRounds is how many looks in a row have to find it asleep.
	holdRounds = 8

	cpuClockScheduled = 2 // CPUCLOCK_SCHED, linux/posix-timers.h
)

// gate is the pipe that holds a program.
type gate struct {
	dir    int // of the script
	name   string
	asleep int  // how many looks have found the program so
	pipe   int  // init's end, once the program may open it
	open   bool // released: the script is on its way from the file to the pipe
	script int  // the file
	size   int64
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

// unlock opens the pipe for writing, upon which the program can open it. A
// pipe that nobody reads cannot be opened for that alone, and trying until
// somebody does would, in gVisor, let the program in at a moment at which the
// attempt that fails is still open: it would read the end of its script.
func (g *gate) unlock() syscall.Errno {
	both, errno := openat(g.dir, g.name, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return errno
	}
	defer syscall.Close(both)
	var st syscall.Stat_t
	if errno := errnoOf(syscall.Fstat(both, &st)); errno != 0 {
		return errno
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return syscall.EEXIST // somebody put a file there too early
	}
	g.pipe, errno = openat(g.dir, g.name, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	return errno
}

// reached reports whether the program opens the pipe, or has: there is a reader,
// which needs the pipe's name no more.
func (g *gate) reached() (bool, syscall.Errno) {
	fds := [1]pollFD{{fd: int32(g.pipe), events: pollOut}}
	poll(fds[:], 0)
	if fds[0].revents != pollOut { // with nobody to read it, it is in error
		return false, 0
	}
	return true, unlinkat(g.dir, g.name, 0)
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
		errno = syscall.ENOENT
	}
	if errno != 0 {
		syscall.Close(fd)
		return errno
	}
	g.open, g.script, g.size = true, fd, st.Size
	return 0
}

// pour moves as much of the script as the pipe takes now. The end, the
// script's or a program's that reads no further, closes the gate.
func (g *gate) pour() {
	for g.off < g.size {
		n, err := syscall.Pread(g.script, dropped[:], g.off)
		if err != nil || n == 0 {
			break
		}
		written, errno := write(g.pipe, dropped[:n])
		if errno == syscall.EAGAIN {
			return
		}
		if errno != 0 {
			break
		}
		g.off += int64(written)
	}
	syscall.Close(g.script)
	g.open = false
	g.close()
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

// lookAtGate says Held as soon as the program waits for its script, or has
// opened it.
func (g *guest) lookAtGate() {
	p := &g.program
	if g.reaper.reaped {
		g.holdFailed(syscall.ECHILD)
		return
	}
	look := p.gate.reached
	if p.phase == holding {
		look = p.waits
	}
	switch ok, errno := look(); {
	case errno != 0:
		g.holdFailed(errno)
	case ok:
		p.phase = held
		g.out.add(wire.Held{PID: uint32(p.pid)}.Append(nil))
	}
}

// release lets the program go.
func (g *guest) release(payload []byte) error {
	var m wire.Release
	if err := m.Decode(payload); err != nil {
		return err
	}
	p := &g.program
	if p.phase != held || p.gate.pipe < 0 {
		return wire.ErrValue
	}
	if g.put < m.Puts { // of which the host has heard
		return g.answer(wire.StartFailed{Stage: wire.StageHold, Errno: uint16(syscall.ECANCELED)}.Append(nil))
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

// waits reports whether the program has slept for a while.
func (p *program) waits() (bool, syscall.Errno) {
	state, errno := stateOf(p.pid)
	if errno != 0 {
		return false, errno
	}
	p.gate.asleep++
	if state != 'S' {
		p.gate.asleep = 0
	}
	return p.gate.asleep >= holdRounds, 0
}

// stateOf is the letter that says what a process does. (proc_pid_stat(5))
func stateOf(pid int) (byte, syscall.Errno) {
	var digits []byte
	for n := pid; n > 0; n /= 10 {
		digits = append(digits, byte('0'+n%10))
	}
	slices.Reverse(digits)
	stat, errno := readAll("/proc/"+string(digits)+"/stat", 4096)
	if errno != 0 {
		return 0, errno
	}
	letter := strings.LastIndexByte(stat, ')') + 2 // behind the name
	if letter < 2 || letter >= len(stat) {
		return 0, syscall.EPROTO
	}
	return stat[letter], 0
}

// open lets the program open the pipe. What it does between that and its first
// look at the script is done before there is one, in each clone.
func (g *guest) open(payload []byte) error {
	p := &g.program
	if p.phase != held || p.gate.pipe >= 0 || len(payload) != 0 {
		return wire.ErrValue
	}
	if errno := p.gate.unlock(); errno != 0 {
		g.holdFailed(errno)
		return nil
	}
	p.phase = opening
	return nil
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
