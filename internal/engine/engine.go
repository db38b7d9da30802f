package engine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// ErrGone is answered for a sandbox that has ended.
var ErrGone = errors.New("the sandbox has ended")

// ErrUnenforceable is wrapped by a Launch that was refused because the host
// cannot enforce a limit.
var ErrUnenforceable = errors.New("this host cannot enforce a limit")

// InitFD is the descriptor at which init finds the control socket.
const InitFD = 3

// InitDir is where the init image is mounted inside every sandbox. Images
// carry an empty directory of that name.
const InitDir = "/.tako"

// Engine launches sandboxes.
type Engine interface {
	// Info names the engine.
	Info() Info
	// Probe finds out what this host can do, without launching anything.
	Probe(ctx context.Context) (Capabilities, error)
	// Launch starts a sandbox. It returns an error and leaves nothing behind,
	// or a sandbox that the caller has to Destroy.
	Launch(ctx context.Context, spec Spec) (Sandbox, error)
	// Shape names what a snapshot of a sandbox with this spec depends on: all
	// of spec but ID, Memory, Permissive and Link, the engine and its version,
	// and what of this host is inside. Equal shapes are equal strings.
	Shape(spec Spec) (string, error)
	// Restore starts a sandbox from a snapshot that was taken of a sandbox
	// with the same shape.
	Restore(ctx context.Context, spec Spec, snapshot Snapshot) (Sandbox, error)
}

// Sandbox is one running instance. See the package's essay for who may call
// what and when.
type Sandbox interface {
	ID() string
	// Control is the host's end of the control socket. The caller reads and
	// writes it; Destroy closes it.
	Control() net.Conn
	// Exec starts one more program inside, beside what init runs, with
	// descriptors of its own. For tests and for operators: jobs go through
	// init.
	Exec(ctx context.Context, spec ExecSpec) (Process, error)
	// Signal sends sig to every process inside but init.
	Signal(ctx context.Context, sig syscall.Signal) error
	// Wait blocks until the sandbox has ended or ctx is done.
	Wait(ctx context.Context) (Exit, error)
	// Stats reads what the sandbox has used.
	Stats(ctx context.Context) (Stats, error)
	// ForgetPeak begins the counting of MemoryPeak anew. Where the host cannot,
	// the peak goes on to be that of the sandbox's whole life.
	ForgetPeak()
	// Checkpoint writes a snapshot into dir, an existing empty directory, and
	// ends the sandbox.
	Checkpoint(ctx context.Context, dir string) (Snapshot, error)
	// Unenforced lists the limits that hold nothing on this host, in the
	// words of the record; empty unless the spec was Permissive.
	Unenforced() []string
	// Destroy ends the sandbox if it runs and removes all that is left of it.
	Destroy() error
}

// Process is a program started by Exec.
type Process interface {
	// PID is the process id inside.
	PID() int
	// Wait blocks until it has exited or ctx is done.
	Wait(ctx context.Context) (syscall.WaitStatus, error)
}

// Info names an engine.
type Info struct {
	Name     string    // "gvisor"
	Version  string    // the version linked in
	Released time.Time // when that version was made
	Platform string    // how it intercepts system calls: "systrap"
}

// Spec describes a sandbox. All of it but ID, Memory, Permissive and Link is
// fixed in a snapshot, which is taken of a sandbox without a link; see
// Engine.Shape.
type Spec struct {
	// ID is unique among live sandboxes: 1 to 64 of [a-z0-9-].
	ID string
	// Image is the path of the root file system, an EROFS file.
	Image string
	// Init is the path of the EROFS file that holds the guest init.
	Init string
	// Layers are mounted beside it, read-only.
	Layers []Layer
	// Args, Env and Dir start init. Args[0] is an absolute path inside.
	Args []string
	Env  []string
	Dir  string
	// Hostname is the name the sandbox sees. A restored one sees its own.
	Hostname string
	// Tmpfs are the writable file systems. There is no other place to write.
	Tmpfs []Tmpfs
	// Files bounds files and directories of each Tmpfs.
	Files int
	// Memory bounds everything the sandbox holds, in bytes, its own kernel
	// included. It is also the memory size that programs see.
	Memory int64
	// CPUs bounds processor time per second of wall time.
	CPUs float64
	// Tasks bounds processes and threads of the user inside; the host-side
	// backstop is derived from it and far higher.
	Tasks int
	// Permissive launches even where a limit holds nothing.
	Permissive bool
	// Link is the sandbox's network beside its loopback; nil is none.
	Link *Link
}

// Link is a sandbox's network: one interface, "eth0", whose packets go through
// a socket to whoever has its other end.
type Link struct {
	// Socket keeps packets apart (SOCK_SEQPACKET): each is an IPv4 packet
	// without a header of the link. The caller keeps its own copy.
	Socket *os.File
	// MTU is the largest packet, in bytes.
	MTU int
	// Address is the interface's, with the length of its network's prefix; all
	// else is behind Gateway.
	Address netip.Prefix
	Gateway netip.Addr
}

// Layer is an EROFS file and where it is mounted, at a directory of the image.
type Layer struct {
	Path  string
	Image string
}

// Tmpfs is a writable file system inside, in memory.
type Tmpfs struct {
	Path     string
	Size     int64 // bytes
	Mode     os.FileMode
	UID, GID int
	NoExec   bool
}

// ExecSpec describes a further program.
type ExecSpec struct {
	Args     []string
	Env      []string
	Dir      string
	UID, GID int
	// Stdin, Stdout, Stderr are passed to the program; nil is a stream
	// that is at its end (Stdin) or that nobody reads, so that writing fails
	// with EPIPE.
	// The caller keeps its own copies, which become blocking, and closes them.
	Stdin, Stdout, Stderr *os.File
}

// Snapshot is a sandbox on disk.
type Snapshot struct {
	Dir string
}

// Cause says why a sandbox ended, from facts.
type Cause string

const (
	CauseExit      Cause = "exit"      // init exited
	CauseDestroyed Cause = "destroyed" // Destroy was called
	CauseMemory    Cause = "memory"    // the memory limit was hit
	CauseEngine    Cause = "engine"    // the engine's process died by itself
)

// Exit is the end of a sandbox.
type Exit struct {
	Cause Cause
	// Detail is one line about an engine that died: its signal or exit code.
	Detail string
}

// Stats is what a sandbox has used so far, its own kernel included.
type Stats struct {
	Memory     int64         // bytes held now; 0 where the host does not count it
	MemoryPeak int64         // the most it held
	CPUTime    time.Duration // user and system
	OOMKills   int64         // processes the kernel killed for memory
}

// Capabilities is what an engine can do on this host.
type Capabilities struct {
	// Ready reports whether sandboxes can be launched at all; Reason says why
	// not and Hint how to mend it.
	Ready  bool
	Reason string
	Hint   string
	// Rootless reports that tako runs as an ordinary user.
	Rootless bool
	// CgroupVersion is 1 or 2; 0 where no cgroup can be written.
	CgroupVersion int
	// Limits says of each limit whether the host enforces it.
	Limits []LimitSupport
}

// LimitSupport is one line of what a host can enforce.
type LimitSupport struct {
	Name     string // "memory", "cpus", "pids", ...
	Enforced bool
	By       string // what enforces it
	Hint     string // the mend where nothing does
}

// Unenforced returns the names of the limits that hold nothing.
func (c Capabilities) Unenforced() []string {
	var names []string
	for _, l := range c.Limits {
		if !l.Enforced {
			names = append(names, l.Name)
		}
	}
	return names
}
