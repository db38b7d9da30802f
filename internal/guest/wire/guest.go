package wire

// Phase is how far the sandbox's one program is.
type Phase uint8

const (
	PhaseIdle    Phase = 0 // none was started
	PhaseRunning Phase = 1
	PhaseExited  Phase = 2
	PhaseHeld    Phase = 3
)

// Hello answers Greet.
type Hello struct {
	Version uint16
	Nonce   uint64
	PID     uint32
	Phase   Phase
}

func (m Hello) Append(dst []byte) []byte {
	e := begin(dst, TypeHello)
	e.u16(m.Version)
	e.u64(m.Nonce)
	e.u32(m.PID)
	e.u8(uint8(m.Phase))
	return e.end()
}

func (m *Hello) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Hello{Version: d.u16(), Nonce: d.u64(), PID: d.u32(), Phase: Phase(d.u8())}
	if d.err() == nil && m.Phase > PhaseHeld {
		return ErrValue
	}
	return d.err()
}

// Done answers Mkdir and a put; Errno is 0 when it went well.
type Done struct{ Errno uint16 }

func (m Done) Append(dst []byte) []byte {
	e := begin(dst, TypeDone)
	e.u16(m.Errno)
	return e.end()
}

func (m *Done) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Done{Errno: d.u16()}
	return d.err()
}

// Held says that a program waits for its script, or has opened it.
type Held struct{ PID uint32 }

func (m Held) Append(dst []byte) []byte {
	e := begin(dst, TypeHeld)
	e.u32(m.PID)
	return e.end()
}

func (m *Held) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Held{PID: d.u32()}
	return d.err()
}

// Started says that exec succeeded, or of a held program that it has its
// script.
type Started struct{ PID uint32 }

func (m Started) Append(dst []byte) []byte {
	e := begin(dst, TypeStarted)
	e.u32(m.PID)
	return e.end()
}

func (m *Started) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Started{PID: d.u32()}
	return d.err()
}

// Stage is the step of init's that failed.
type Stage uint8

const (
	StagePipes    Stage = iota + 1 // the program's pipes or /dev/null
	StageFork                      // clone
	StageSession                   // setsid
	StageRlimits                   // prlimit
	StageIdentity                  // groups, gid, uid, no_new_privs
	StageDir                       // chdir
	StageFiles                     // descriptors 0, 1 and 2, closing the others
	StageExec                      // execve
	StagePosture                   // init's own: capabilities, signals, descriptors
	StageDevices                   // init's own: device nodes
	StageProtocol                  // the host broke this language
	StageHold                      // the pipe that holds a program, and its script
	StageFilter                    // the seccomp filter
)

// String names s as errors do.
func (s Stage) String() string {
	names := [...]string{"pipes", "fork", "setsid", "rlimits", "identity", "chdir", "descriptors", "exec", "posture",
		"devices", "protocol", "hold", "filter"}
	if s >= 1 && int(s) <= len(names) {
		return names[s-1]
	}
	return "unknown step"
}

// StartFailed says why the program was not started.
type StartFailed struct {
	Stage Stage
	Errno uint16
}

func (m StartFailed) Append(dst []byte) []byte {
	return appendFailure(dst, TypeStartFailed, m.Stage, m.Errno)
}

func (m *StartFailed) Decode(p []byte) error {
	d := decoder{b: p}
	*m = StartFailed{Stage: Stage(d.u8()), Errno: d.u16()}
	return d.err()
}

// Fatal is init's last word when it cannot go on.
type Fatal struct {
	Stage Stage
	Errno uint16
}

func (m Fatal) Append(dst []byte) []byte { return appendFailure(dst, TypeFatal, m.Stage, m.Errno) }

func (m *Fatal) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Fatal{Stage: Stage(d.u8()), Errno: d.u16()}
	return d.err()
}

func appendFailure(dst []byte, t Type, s Stage, errno uint16) []byte {
	e := begin(dst, t)
	e.u8(uint8(s))
	e.u16(errno)
	return e.end()
}

// StdinCredit lets the host send Bytes more of input.
type StdinCredit struct{ Bytes uint32 }

func (m StdinCredit) Append(dst []byte) []byte {
	e := begin(dst, TypeStdinCredit)
	e.u32(m.Bytes)
	return e.end()
}

func (m *StdinCredit) Decode(p []byte) error {
	d := decoder{b: p}
	*m = StdinCredit{Bytes: d.u32()}
	return d.err()
}

// Exited is the end of the program and of everything it left behind.
type Exited struct {
	Status         uint32 // the program's wait status
	UserNanos      uint64 // of every process that was reaped
	SystemNanos    uint64
	MaxRSS         uint64 // bytes, of the largest process
	WallNanos      uint64 // exec to exit, monotonic
	Stdout, Stderr uint64 // bytes written, the dropped ones included
	Survivors      bool   // something could not be killed in time
	Empty          bool   // there is nothing in /output, hidden things included
}

func (m Exited) Append(dst []byte) []byte {
	e := begin(dst, TypeExited)
	e.u32(m.Status)
	for _, v := range [...]uint64{m.UserNanos, m.SystemNanos, m.MaxRSS, m.WallNanos, m.Stdout, m.Stderr} {
		e.u64(v)
	}
	e.flag(m.Survivors)
	e.flag(m.Empty)
	return e.end()
}

func (m *Exited) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Exited{Status: d.u32(), UserNanos: d.u64(), SystemNanos: d.u64(), MaxRSS: d.u64(), WallNanos: d.u64(),
		Stdout: d.u64(), Stderr: d.u64(), Survivors: d.flag(), Empty: d.flag()}
	return d.err()
}
