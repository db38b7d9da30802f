// The runtime would read cgroup files to find out how many processors it has,
// and again every 30 seconds. Init has one in any case.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command init is the first program inside a sandbox. It owns the inner end of
// the control socket, starts the one program that the host asks for, streams
// its input and output, reaps whatever is orphaned, and reports how it ended.
//
// It is started by the isolation engine as pid 1 and uid 0 with the
// capabilities CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, KILL, SETUID,
// SETGID and SETPCAP, and speaks package wire over descriptor 3.
//
// One thread does everything in one loop around poll(2), and there is no other:
// see initgen, which builds this program. So what belongs to threads, such as
// capabilities, is init's. Neither os, net nor fmt is linked: every sandbox carries
// this program.
package main

import (
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// controlFD is where the engine puts the inner end of the control socket.
const controlFD = 3

// Exit codes of init, for whoever reads the engine's log.
const (
	exitDone     = 0 // the host said Shutdown or closed the socket
	exitPosture  = 70
	exitProtocol = 76
)

// sandbox is in the data segment, so that its buffers cost nothing until they
// are touched.
var sandbox guest

func main() {
	if stage, errno := secure(); errno != 0 {
		sandbox.fatal(stage, errno, exitPosture)
	}
	sandbox.serve()
}

// fatal says why init cannot go on, if anybody listens, and ends the sandbox.
// In the middle of a frame there is no room for it.
func (g *guest) fatal(stage wire.Stage, errno syscall.Errno, code int) {
	if g.out.off == 0 || g.out.empty() {
		send(controlFD, wire.Fatal{Stage: stage, Errno: uint16(errno)}.Append(nil))
	}
	end(code)
}

// end takes everything else in the sandbox along. Only pid 1 may ask for that:
// anywhere else -1 would be the whole machine.
func end(code int) {
	if syscall.Getpid() == 1 {
		syscall.Kill(-1, syscall.SIGKILL)
	}
	syscall.Exit(code)
}
