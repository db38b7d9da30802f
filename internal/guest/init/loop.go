package main

import (
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// guest is everything init knows.
type guest struct {
	in      inbox
	out     outbox
	upload  upload
	put     uint8 // how many files arrived one after the other without a fault, 255 at most
	program program
	reaper  reaper
}

// Positions in the set of descriptors that the loop polls.
const (
	pollControl = iota
	pollReaper
	pollStdin
	pollStdout
	pollStderr
	pollGate
	pollCount
)

// serve is the loop: it waits for any descriptor and does what can be done
// without waiting. Requests are read in every turn, so no amount of output
// keeps a signal from the program; output is read only when the last piece of
// it is on its way, which is the back-pressure.
func (g *guest) serve() {
	var fds [pollCount]pollFD
	for {
		if !g.out.flush() {
			end(exitDone)
		}
		g.interest(&fds)
		timeout := g.program.timeout()
		if g.reaper.more {
			timeout = 0
		}
		ready := poll(fds[:], timeout)
		if !ready || g.reaper.more || fds[pollReaper].revents != 0 {
			g.reaper.look()
		}
		if fds[pollControl].revents != 0 && !g.in.fill() {
			end(exitDone)
		}
		g.handleFrames()
		if fds[pollStdin].revents != 0 {
			g.feed()
		}
		if fds[pollGate].revents != 0 {
			g.program.gate.pour()
		}
		g.pumpBoth(fds[pollStdout].revents != 0, fds[pollStderr].revents != 0)
		g.watch()
	}
}

// interest says what the next turn waits for. A descriptor of -1 is skipped by
// the kernel; one that is open but not wanted must be, since a closed peer
// would be reported forever.
func (g *guest) interest(fds *[pollCount]pollFD) {
	p := &g.program
	fds[pollControl] = pollFD{fd: controlFD, events: pollIn}
	if !g.out.empty() {
		fds[pollControl].events |= pollOut
	}
	fds[pollReaper] = pollFD{fd: int32(g.reaper.bell), events: pollIn}
	fds[pollStdin] = pollFD{fd: -1}
	if p.stdin.open {
		fds[pollStdin] = pollFD{fd: int32(p.stdin.fd), events: p.stdin.events()}
	}
	fds[pollGate] = pollFD{fd: -1}
	if p.gate.open {
		fds[pollGate] = pollFD{fd: int32(p.gate.pipe), events: pollOut}
	}
	for i := range p.outputs {
		fds[pollStdout+i] = pollFD{fd: -1}
		// What a held program says waits in the pipe for whoever lets it go.
		if s := &p.outputs[i]; s.open && (p.phase < holding || p.phase > opening) && (s.discard || g.out.empty()) {
			fds[pollStdout+i] = pollFD{fd: int32(s.fd), events: pollIn}
		}
	}
}

func (g *guest) handleFrames() {
	for {
		t, payload, ok, err := g.in.next()
		if err == nil && ok {
			err = g.handle(t, payload)
			g.in.drop(len(payload))
		}
		if err != nil {
			g.fatal(wire.StageProtocol, 0, exitProtocol)
		}
		if !ok {
			return
		}
	}
}

// handle does one request. An error is a host that broke the language.
func (g *guest) handle(t wire.Type, payload []byte) error {
	if g.upload.active && t != wire.TypePutData && t != wire.TypePutAbort && t != wire.TypeStdin && t != wire.TypeStdinEOF &&
		t != wire.TypeDiscard && t != wire.TypeSignal {
		return wire.ErrValue
	}
	switch t {
	case wire.TypeGreet:
		return g.greet(payload)
	case wire.TypeMkdir:
		return g.mkdir(payload)
	case wire.TypePutBegin, wire.TypePutData, wire.TypePutAbort:
		return g.putFrame(t, payload)
	case wire.TypeRun, wire.TypeArg, wire.TypeEnv:
		return g.gather(t, payload)
	case wire.TypeStdin, wire.TypeStdinEOF:
		return g.stdinFrame(t, payload)
	case wire.TypeDiscard:
		return g.discard(payload)
	case wire.TypeSignal:
		return g.signal(payload)
	case wire.TypeCollect:
		return g.collect(payload)
	case wire.TypeRelease:
		return g.release(payload)
	case wire.TypeOpen:
		return g.open(payload)
	case wire.TypeShutdown:
		end(exitDone)
	}
	return wire.ErrType
}

func (g *guest) greet(payload []byte) error {
	var m wire.Greet
	if err := m.Decode(payload); err != nil {
		return err
	}
	phase := wire.PhaseIdle
	switch g.program.phase {
	case holding, held, opening:
		phase = wire.PhaseHeld
	case running, ending:
		phase = wire.PhaseRunning
	case exited:
		phase = wire.PhaseExited
	}
	// An unequal version is the host's to refuse: it knows what to say.
	return g.answer(wire.Hello{Version: wire.Version, Nonce: m.Nonce, PID: uint32(syscall.Getpid()), Phase: phase}.Append(nil))
}

func (g *guest) answer(frame []byte) error {
	if !g.out.add(frame) {
		return wire.ErrLength
	}
	return nil
}
