package guest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/guest"
)

func TestRunAndReport(t *testing.T) {
	sb := boot(t)
	p := python(`
import os, sys
if os.fork() == 0:
    block = b'x' * (64 << 20)       # the child is the largest
    for _ in range(2_000_000): pass # and the busiest
    os._exit(0)
os.wait()
print('out', sys.argv[1:]); print('err', file=sys.stderr)
sys.stdout.flush(); os._exit(7)
`)
	p.Args = append(p.Args, "a b", "", "ünï")
	var stdout, stderr bytes.Buffer
	must(t, sb.Start(t.Context(), p, guest.Streams{Stdout: &stdout, Stderr: &stderr}))
	exit := sb.wait()
	if !exit.Status.Exited() || exit.Status.ExitStatus() != 7 {
		t.Errorf("status %#x", uint32(exit.Status))
	}
	if stdout.String() != "out ['a b', '', 'ünï']\n" || stderr.String() != "err\n" {
		t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
	}
	if exit.StdoutBytes != int64(stdout.Len()) || exit.StderrBytes != 4 {
		t.Errorf("%d and %d bytes", exit.StdoutBytes, exit.StderrBytes)
	}
	u := exit.Usage
	if u.MaxRSS < 64<<20 || u.MaxRSS > 1<<30 || u.CPUTime < 5*time.Millisecond || u.Wall < u.CPUTime/4 || u.Wall > patience {
		t.Errorf("usage %+v", u)
	}
	// One program a sandbox, one end for everybody.
	if err := sb.Start(t.Context(), python(""), guest.Streams{}); err == nil {
		t.Error("a second program was started")
	}
	if again := sb.wait(); again != exit {
		t.Errorf("a second Wait: %+v", again)
	}
	must(t, sb.Signal(t.Context(), syscall.SIGKILL, true))
}

func TestStartFails(t *testing.T) {
	sb := boot(t)
	must(t, sb.put("/tmp/plain", "no program\n"))
	must(t, sb.Put(t.Context(), guest.File{Path: "/tmp/junk", Mode: 0o755, Size: 4}, strings.NewReader("junk")))
	base := python("")
	for name, c := range map[string]struct {
		change func(*guest.Program)
		step   string
		errno  syscall.Errno
	}{
		"no such file":   {func(p *guest.Program) { p.Path = "/usr/bin/nothing" }, "exec", syscall.ENOENT},
		"not executable": {func(p *guest.Program) { p.Path = "/tmp/plain" }, "exec", syscall.EACCES},
		"no format":      {func(p *guest.Program) { p.Path = "/tmp/junk" }, "exec", syscall.ENOEXEC},
		"no directory":   {func(p *guest.Program) { p.Dir = "/nothing" }, "chdir", syscall.ENOENT},
		"raised limit": {func(p *guest.Program) {
			p.Rlimits = []guest.Rlimit{
				{Resource: unix.RLIMIT_NOFILE, Soft: 16, Hard: 16}, {Resource: unix.RLIMIT_NOFILE, Soft: 16, Hard: 17},
			}
		}, "rlimits", syscall.EPERM},
		"too much": {func(p *guest.Program) {
			for range 4000 {
				p.Env = append(p.Env, "A="+strings.Repeat("x", 1000))
			}
			p.Rlimits = []guest.Rlimit{{Resource: unix.RLIMIT_STACK, Soft: 1 << 20, Hard: 1 << 20}}
		}, "exec", syscall.E2BIG},
	} {
		p := base
		c.change(&p)
		err := sb.Start(t.Context(), p, guest.Streams{Stdin: strings.NewReader("x"), Stdout: io.Discard})
		var failed *guest.ExecError
		if !errors.As(err, &failed) || failed.Step != c.step || !errors.Is(err, c.errno) || failed.Path != p.Path {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*guest.Program){
		"root":          func(p *guest.Program) { p.UID = 0 },
		"root's group":  func(p *guest.Program) { p.GID = 0 },
		"relative path": func(p *guest.Program) { p.Path = "python3" },
		"relative dir":  func(p *guest.Program) { p.Dir = "tmp" },
		"NUL":           func(p *guest.Program) { p.Args = []string{"a\x00b"} },
		"long argument": func(p *guest.Program) { p.Args = []string{strings.Repeat("x", 65<<10)} },
		"many limits":   func(p *guest.Program) { p.Rlimits = make([]guest.Rlimit, 17) },
		"no such limit": func(p *guest.Program) { p.Rlimits = []guest.Rlimit{{Resource: 16}} },
	} {
		p := base
		change(&p)
		if err := sb.Start(t.Context(), p, guest.Streams{}); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	// After all that a program can still be started.
	if got := sb.run(python(`print('hello')`)).stdout; got != "hello\n" {
		t.Errorf("got %q", got)
	}
}

// Orphans are reaped while the program runs: it is allowed ten processes and
// gets through 98 of them.
func TestOrphansAreReaped(t *testing.T) {
	sb := boot(t)
	p := python(`
import os, time
def zombies():
    n = 0
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try: n += open('/proc/%s/stat' % pid).read().rsplit(')', 1)[1].split()[0] == 'Z'
        except OSError: pass
    return n
born = 0
while born < 98:
    pid = os.fork()
    if pid == 0:
        try: os._exit(0 if os.fork() >= 0 else 1)
        except OSError: os._exit(1)
    born += os.waitpid(pid, 0)[1] == 0
while zombies(): pass
print('reaped', born)
`)
	p.UID, p.GID = 4243, 4243
	p.Rlimits = []guest.Rlimit{{Resource: unix.RLIMIT_NPROC, Soft: 10, Hard: 10}}
	if got := sb.run(p).stdout; got != "reaped 98\n" {
		t.Errorf("got %q", got)
	}
}

// A daemon that holds the pipes, in a session of its own, deaf to signals, does
// not hold up the end.
func TestDaemonDoesNotDelay(t *testing.T) {
	sb := boot(t)
	f := sb.run(python(`
import os, signal, sys
r, w = os.pipe()
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        for sig in range(1, 65):
            try: signal.signal(sig, signal.SIG_IGN)
            except (OSError, ValueError): pass
        os.write(w, b'x')
        while True: signal.pause()
got = 0
while got < 5: got += len(os.read(r, 5))
os.write(1, b'done')
`))
	if f.stdout != "done" || f.Usage.Wall > patience {
		t.Errorf("got %q after %v", f.stdout, f.Usage.Wall)
	}
}

// A fork bomb at its limit is over when the program is.
func TestForkBombEnds(t *testing.T) {
	sb := boot(t)
	p := python(`
import os
os.write(1, b'x')
while True:
    try: os.fork()
    except OSError: pass
`)
	p.UID, p.GID = 4244, 4244
	p.Rlimits = []guest.Rlimit{{Resource: unix.RLIMIT_NPROC, Soft: 40, Hard: 40}}
	first := newGate()
	must(t, sb.Start(t.Context(), p, guest.Streams{Stdout: first}))
	first.wait(t)
	must(t, sb.Signal(t.Context(), syscall.SIGKILL, false))
	if exit := sb.wait(); exit.Status.Signal() != syscall.SIGKILL {
		t.Errorf("status %#x", uint32(exit.Status))
	}
}

func TestSignals(t *testing.T) {
	for name, c := range map[string]struct {
		code    string
		signals []syscall.Signal
		all     bool
		want    syscall.Signal
		stdout  string
	}{
		"TERM":         {`print('ready', flush=True)`, []syscall.Signal{syscall.SIGTERM}, false, syscall.SIGTERM, "ready\n"},
		"TERM to all":  {`print('ready', flush=True)`, []syscall.Signal{syscall.SIGTERM}, true, syscall.SIGTERM, "ready\n"},
		"default PIPE": {`signal.signal(13, signal.SIG_DFL); print('ready', flush=True)`, []syscall.Signal{syscall.SIGPIPE}, false, syscall.SIGPIPE, "ready\n"},
		"deaf to TERM": {`signal.pthread_sigmask(signal.SIG_BLOCK, [15]); print('ready', flush=True); signal.sigwait([15]); print('no', flush=True)`,
			[]syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}, false, syscall.SIGKILL, "ready\nno\n"},
	} {
		t.Run(name, func(t *testing.T) {
			sb := boot(t)
			out := newGate()
			must(t, sb.Start(t.Context(), python("import signal\n"+c.code+"\nwhile True: signal.pause()"), guest.Streams{Stdout: out}))
			for _, sig := range c.signals {
				out.wait(t)
				must(t, sb.Signal(t.Context(), sig, c.all))
			}
			exit := sb.wait()
			if !exit.Status.Signaled() || exit.Status.Signal() != c.want || out.String() != c.stdout {
				t.Errorf("status %#x, stdout %q", uint32(exit.Status), out.String())
			}
		})
	}
}

// gate is a writer that says when something was written.
type gate struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{}
}

func newGate() *gate { return &gate{wrote: make(chan struct{}, 1024)} }

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrote <- struct{}{}
	return g.text.Write(p)
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

func (g *gate) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g.wrote:
	case <-time.After(patience):
		t.Fatal("the program says nothing")
	}
}

func TestStdin(t *testing.T) {
	text := make([]byte, 5<<20)
	rand.Read(text)
	t.Run("streamed", func(t *testing.T) {
		sb := boot(t)
		var stdout bytes.Buffer
		must(t, sb.Start(t.Context(), guest.Program{Path: "/bin/cat", UID: 1000, GID: 1000},
			guest.Streams{Stdin: bytes.NewReader(text), Stdout: &stdout}))
		if exit := sb.wait(); exit.Status != 0 || exit.StreamErr != nil {
			t.Errorf("status %#x, stream %v", uint32(exit.Status), exit.StreamErr)
		}
		if !bytes.Equal(stdout.Bytes(), text) {
			t.Errorf("%d bytes came back of %d", stdout.Len(), len(text))
		}
	})
	t.Run("empty", func(t *testing.T) {
		sb := boot(t)
		must(t, sb.Start(t.Context(), guest.Program{Path: "/bin/cat", UID: 1000, GID: 1000}, guest.Streams{Stdin: strings.NewReader("")}))
		if exit := sb.wait(); exit.Status != 0 {
			t.Errorf("status %#x", uint32(exit.Status))
		}
	})
	t.Run("closed early", func(t *testing.T) {
		sb := boot(t)
		r := &endless{stopped: make(chan struct{})}
		out := newGate()
		must(t, sb.Start(t.Context(), python(`
import os, signal
os.read(0, 10); os.close(0); print('closed', flush=True)
signal.pause()`), guest.Streams{Stdin: r, Stdout: out}))
		out.wait(t)
		// The host stops reading without the program's end: at most what was
		// under way has been taken.
		must(t, sb.Signal(t.Context(), syscall.SIGKILL, false))
		sb.wait()
		if n := r.total(); n > 1<<20 {
			t.Errorf("%d bytes were read for a program that wants none", n)
		}
	})
	t.Run("never read", func(t *testing.T) {
		sb := boot(t)
		r := &endless{}
		out := newGate()
		must(t, sb.Start(t.Context(), python("import signal\nprint('up', flush=True)\nsignal.pause()"), guest.Streams{Stdin: r, Stdout: out}))
		out.wait(t)
		must(t, sb.Signal(t.Context(), syscall.SIGKILL, false))
		sb.wait()
		if n := r.total(); n > 1<<20 {
			t.Errorf("%d bytes were read ahead", n)
		}
	})
	t.Run("reader fails", func(t *testing.T) {
		sb := boot(t)
		broken := errors.New("broken")
		must(t, sb.Start(t.Context(), guest.Program{Path: "/bin/cat", UID: 1000, GID: 1000},
			guest.Streams{Stdin: io.MultiReader(strings.NewReader("some"), failing{broken})}))
		if exit := sb.wait(); exit.Status != 0 || !errors.Is(exit.StreamErr, broken) || exit.StdoutBytes != 4 {
			t.Errorf("exit %+v", exit)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// endless is a reader without end that counts.
type endless struct {
	mu      sync.Mutex
	n       int
	stopped chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n += len(p)
	return len(p), nil
}

func (e *endless) total() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

const flood = 200 << 20

// flooding writes flood bytes to stdout and one line to stderr.
const flooding = `
import os
block, left = b'x' * (1 << 20), 200
for _ in range(left):
    view = memoryview(block)
    while view: view = view[os.write(1, view):]
os.write(2, b'end')
`

func TestMuchOutput(t *testing.T) {
	for name, c := range map[string]struct {
		stdout io.Writer
		broken bool
	}{
		"discarded from the start": {nil, false},
		"discarded on the way":     {&limited{left: 64 << 10, err: guest.ErrDiscard}, false},
		"writer fails":             {&limited{left: 64 << 10, err: errors.New("disk full")}, true},
		"taken":                    {io.Discard, false},
	} {
		t.Run(name, func(t *testing.T) {
			sb := boot(t)
			var stderr bytes.Buffer
			must(t, sb.Start(t.Context(), python(flooding), guest.Streams{Stdout: c.stdout, Stderr: &stderr}))
			exit := sb.wait()
			if exit.Status != 0 || exit.StdoutBytes != flood || exit.StderrBytes != 3 || stderr.String() != "end" {
				t.Errorf("%+v, stderr %q", exit, stderr.String())
			}
			if (exit.StreamErr != nil) != c.broken {
				t.Errorf("stream error %v", exit.StreamErr)
			}
		})
	}
}

// limited takes left bytes and then fails, every time.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, l.err
	}
	l.left -= len(p)
	return len(p), nil
}

// A writer that hangs holds up the program, but not a signal; and one stream's
// flood does not starve the other.
func TestSignalPassesBackPressure(t *testing.T) {
	sb := boot(t)
	stuck := &stopped{entered: make(chan struct{}), release: make(chan struct{})}
	must(t, sb.Start(t.Context(), python("import os\nwhile True: os.write(1, b'x' * 65536)"), guest.Streams{Stdout: stuck}))
	<-stuck.entered
	must(t, sb.Signal(t.Context(), syscall.SIGTERM, false))
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sb.Wait(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	close(stuck.release)
	if exit := sb.wait(); exit.Status.Signal() != syscall.SIGTERM {
		t.Errorf("status %#x", uint32(exit.Status))
	}
}

// stopped is a writer that waits in its first Write.
type stopped struct {
	once             sync.Once
	entered, release chan struct{}
}

func (s *stopped) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.entered); <-s.release })
	return len(p), nil
}

func TestBothStreamsFlow(t *testing.T) {
	sb := boot(t)
	out, errs := newGate(), newGate()
	must(t, sb.Start(t.Context(), python(`
import os
if os.fork() == 0:
    while True: os.write(1, b'x' * 4096)
os.write(2, b'through')
os.read(0, 1)
`), guest.Streams{Stdin: &after{gate: errs, t: t}, Stdout: &limited{left: 1 << 40}, Stderr: errs}))
	if exit := sb.wait(); exit.Status != 0 || errs.String() != "through" {
		t.Errorf("%+v, stderr %q, stdout %q", exit, errs.String(), out.String())
	}
}

// after is an input that comes when something was written to gate.
type after struct {
	gate *gate
	t    *testing.T
	done bool
}

func (a *after) Read(p []byte) (int, error) {
	if a.done {
		return 0, io.EOF
	}
	a.done = true
	a.gate.wait(a.t)
	p[0] = 'x'
	return 1, nil
}

// The end of a session is the end of everything inside.
func TestCloseKills(t *testing.T) {
	sb := boot(t)
	out := newGate()
	must(t, sb.Start(t.Context(), python(fmt.Sprintf("import signal\nfor s in %v: signal.signal(s, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()",
		"(1, 2, 3, 15)")), guest.Streams{Stdout: out}))
	out.wait(t)
	must(t, sb.Close())
	if _, err := sb.Wait(t.Context()); !errors.Is(err, guest.ErrClosed) {
		t.Errorf("Wait: %v", err)
	}
	<-sb.ended // destroy's check comes too late to hang here: the test's deadline bounds it
}

// A sandbox that dies takes the session along with an error that says so.
func TestLost(t *testing.T) {
	sb := boot(t)
	out := newGate()
	must(t, sb.Start(t.Context(), python("import signal\nprint('up', flush=True)\nsignal.pause()"), guest.Streams{Stdout: out}))
	out.wait(t)
	must(t, sb.init.Process.Kill())
	if _, err := sb.Wait(t.Context()); !errors.Is(err, guest.ErrLost) {
		t.Errorf("Wait: %v", err)
	}
	if err := sb.put("/tmp/x", "x"); !errors.Is(err, guest.ErrLost) {
		t.Errorf("Put: %v", err)
	}
	if err := sb.Signal(t.Context(), syscall.SIGTERM, false); !errors.Is(err, guest.ErrLost) {
		t.Errorf("Signal: %v", err)
	}
	if _, err := sb.Collect(t.Context(), guest.CollectOptions{}, nil); !errors.Is(err, guest.ErrLost) {
		t.Errorf("Collect: %v", err)
	}
}

// An end says whether there is anything to collect.
func TestExitEmpty(t *testing.T) {
	for code, want := range map[string]bool{
		"pass":                                    true,
		"open('/output/.hidden', 'w')":            false,
		"import os; os.mkdir('/output/d')":        false,
		"import os; os.symlink('x', '/output/x')": false,
		"import os; open('/output/x', 'w'); os.unlink('/output/x')": true,
	} {
		sb := bootAs(t, emptyVariant)
		if f := sb.run(python(code)); f.Empty != want {
			t.Errorf("%s: empty %v", code, f.Empty)
		}
	}
}
