package main

import (
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// phase is how far the program is.
type phase uint8

const (
	idle      phase = iota // none was asked for
	gathering              // its arguments are arriving
	holding                // it comes up and has not asked for its script
	held                   // it waits for its script
	opening                // it is let open it, after which it is held again
	running
	ending // it has exited; what it left behind is being killed
	exited
)

const (
	// killRound is how long init waits before it kills again, in milliseconds.
	killRound = 10
	// killBound is how long it goes on with that, in nanoseconds.
	killBound = 5e9
	// drainBound is more than any pipe holds, in bytes: what is read from one
	// after everybody who could write is dead, or should be.
	drainBound = 2 << 20
)

// program is the one program of a sandbox.
type program struct {
	phase   phase
	run     wire.Run
	args    []*byte
	env     []*byte
	bytes   int // of args and env
	pid     int
	started int64 // monotonic, nanoseconds
	stdin   stdin
	outputs [2]output
	turn    int // which output is looked at first
	gate    gate
}

// timeout is how long the loop may sleep, in milliseconds.
func (p *program) timeout() int {
	switch p.phase {
	case holding, opening:
		return holdRound
	case ending:
		return killRound
	}
	return -1
}

// gather takes a program's description piece by piece and starts it with the
// last of them.
func (g *guest) gather(t wire.Type, payload []byte) error {
	p := &g.program
	if t == wire.TypeRun {
		if p.phase != idle {
			return wire.ErrValue
		}
		*p = program{phase: gathering}
		return p.run.Decode(payload)
	}
	if p.phase != gathering {
		return wire.ErrValue
	}
	text, err := syscall.BytePtrFromString(string(payload))
	if err != nil {
		return wire.ErrValue
	}
	if p.bytes += len(payload) + 1; p.bytes > wire.MaxStringBytes {
		return wire.ErrLength
	}
	switch {
	case t == wire.TypeArg && len(p.args) < int(p.run.NArgs):
		p.args = append(p.args, text)
	case t == wire.TypeEnv && len(p.args) == int(p.run.NArgs) && len(p.env) < int(p.run.NEnv):
		p.env = append(p.env, text)
	default:
		return wire.ErrValue
	}
	if len(p.args) == int(p.run.NArgs) && len(p.env) == int(p.run.NEnv) {
		if p.run.Hold != "" {
			return g.hold()
		}
		return g.launch()
	}
	return nil
}

// launch starts the program and says how that went.
func (g *guest) launch() error {
	p := &g.program
	pid, stage, errno := p.spawn()
	if errno != 0 {
		*p = program{}
		return g.answer(wire.StartFailed{Stage: stage, Errno: uint16(errno)}.Append(nil))
	}
	p.phase, p.pid, p.started = running, pid, now()
	p.args, p.env = nil, nil
	g.reaper.pid = pid
	return g.answer(wire.Started{PID: uint32(pid)}.Append(nil))
}

// spawn makes the pipes and forks. The program's ends are closed again in
// every case, init's only when it failed.
func (p *program) spawn() (pid int, stage wire.Stage, errno syscall.Errno) {
	var theirs [3]int
	opened := 0
	defer func() {
		for _, fd := range theirs[:opened] {
			syscall.Close(fd)
		}
		if errno != 0 {
			p.closeAll()
		}
	}()
	for i := range theirs {
		if theirs[i], errno = p.open(i); errno != 0 {
			return 0, wire.StagePipes, errno
		}
		// So that it can open /dev/stdout, which is its descriptor by name.
		if i == 0 && !p.run.Stdin {
			opened++ // the null device stays root's
			continue
		}
		if err := syscall.Fchown(theirs[i], int(p.run.UID), int(p.run.GID)); err != nil {
			syscall.Close(theirs[i])
			return 0, wire.StagePipes, errnoOf(err)
		}
		opened++
	}
	return fork(&p.run, p.args, p.env, theirs)
}

// open makes the program's descriptor i and keeps the other end of its pipe.
// Only init's end is non-blocking: programs do not expect that.
func (p *program) open(i int) (theirs int, errno syscall.Errno) {
	if i == 0 && !p.run.Stdin {
		return openat(-1, "/dev/null", syscall.O_RDONLY, 0)
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return -1, errnoOf(err)
	}
	ours, theirs := ends[0], ends[1]
	if i == 0 {
		ours, theirs = theirs, ours
	}
	syscall.SetNonblock(ours, true)
	if i == 0 {
		p.stdin = stdin{fd: ours, open: true, credit: wire.StdinWindow}
		return theirs, 0
	}
	stream := wire.Stdout
	kind := wire.TypeStdout
	if i == 2 {
		stream, kind = wire.Stderr, wire.TypeStderr
	}
	p.outputs[i-1] = output{fd: ours, open: true, kind: kind, discard: p.run.Discard&(1<<stream) != 0}
	return theirs, 0
}

func (p *program) closeAll() {
	p.stdin.close()
	for i := range p.outputs {
		p.outputs[i].close()
	}
}

// signal never fails for the host: a program that has exited needs none.
func (g *guest) signal(payload []byte) error {
	var m wire.Signal
	if err := m.Decode(payload); err != nil {
		return err
	}
	p := &g.program
	if p.phase != running || g.reaper.reaped {
		return nil
	}
	target := p.pid
	if m.All {
		target = -1 // the kernel leaves out init, which asks
	}
	syscall.Kill(target, syscall.Signal(m.Signal))
	return nil
}

// watch follows the program's end: it exits, everything it left is killed and
// reaped, the pipes are emptied, and only then the host hears of it. A daemon
// that holds the pipes can therefore not hold up the end.
func (g *guest) watch() {
	p := &g.program
	switch {
	case p.phase == holding || p.phase == opening:
		g.lookAtGate()
		return
	case p.phase == running && g.reaper.reaped:
		p.phase = ending
		p.stdin.close()
	case p.phase != ending:
		return
	}
	end := g.reaper.end
	if !g.reaper.childless && now()-int64(end.WallNanos) < killBound {
		syscall.Kill(-1, syscall.SIGKILL)
		return
	}
	for i := range p.outputs {
		p.outputs[i].finish(&g.out)
		if p.outputs[i].open {
			return // the host has not taken the last piece yet
		}
	}
	// Behind the last output there is always room for this.
	end.WallNanos = uint64(end.WallNanos - uint64(p.started))
	end.Stdout, end.Stderr = p.outputs[0].total, p.outputs[1].total
	end.Survivors = !g.reaper.childless
	end.Empty = isEmpty("/output")
	p.gate.lessWarmUp(&end)
	g.out.add(end.Append(nil))
	p.phase = exited
}
