package guest_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/guest/wire"
)

// What a program is, from the kernel's mouth. cat changes nothing about
// itself, so its status is what it was started with.
func TestPostureOfProgram(t *testing.T) {
	sb := boot(t)
	got := status(sb.run(guest.Program{Path: "/bin/cat", Args: []string{"cat", "/proc/self/status"}, UID: 1000, GID: 1001}).stdout)
	for field, want := range map[string]string{
		"Uid": "1000 1000 1000 1000", "Gid": "1001 1001 1001 1001", "Groups": "", "NoNewPrivs": "1", "Umask": "0022", "PPid": "1",
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
		"SigBlk": "0000000000000000", "SigIgn": "0000000000000000", "SigCgt": "0000000000000000",
	} {
		if got[field] != want {
			t.Errorf("%s is %q, want %q", field, got[field], want)
		}
	}
}

// Descriptors, session, limits and surroundings, as a program sees them.
func TestSurroundingsOfProgram(t *testing.T) {
	sb := boot(t)
	p := python(`
import os, fcntl, resource
def is_open(fd):
    try: fcntl.fcntl(fd, fcntl.F_GETFD); return True
    except OSError: return False
print([fd for fd in range(4096) if is_open(fd)])
print([fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK for fd in range(3)])
print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())
print(os.getcwd(), dict(os.environ), os.read(0, 1))
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE))
print(resource.getrlimit(resource.RLIMIT_NPROC), resource.getrlimit(resource.RLIMIT_FSIZE))
print(sorted(os.listdir('/dev')))
`)
	p.Rlimits = []guest.Rlimit{
		{Resource: unix.RLIMIT_NOFILE, Soft: 16, Hard: 32},
		{Resource: unix.RLIMIT_NPROC, Soft: 1, Hard: 1},
		{Resource: unix.RLIMIT_FSIZE, Soft: 4096, Hard: 4096},
	}
	want := `[0, 1, 2]
[0, 0, 0]
True True
/tmp {'LANG': 'C.UTF-8'} b''
(0, 0) (16, 32)
(1, 1) (4096, 4096)
['fd', 'full', 'null', 'ptmx', 'pts', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'tty', 'urandom', 'zero']
`
	if got := sb.run(p).stdout; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	// The limits bind the program alone: init still writes what it could not.
	must(t, sb.put("/tmp/large", strings.Repeat("x", 1<<20)))
}

// Limits hold, not only show.
func TestLimitsHold(t *testing.T) {
	sb := boot(t)
	p := python(`
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
children = []
try:
    while True:
        pid = os.fork()
        if pid == 0: signal.pause()
        children.append(pid)
except OSError as e: print('fork', e.errno, len(children))
try:
    with open('/tmp/big', 'wb') as f: f.write(b'x' * 8192)
except OSError as e: print('write', e.errno)
`)
	p.UID, p.GID = 4242, 4242 // the kernel counts processes by user, over the whole machine
	p.Rlimits = []guest.Rlimit{
		{Resource: unix.RLIMIT_NPROC, Soft: 5, Hard: 5}, {Resource: unix.RLIMIT_FSIZE, Soft: 4096, Hard: 4096},
	}
	want := fmt.Sprintf("fork %d 4\nwrite %d\n", syscall.EAGAIN, syscall.EFBIG)
	if got := sb.run(p).stdout; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Nothing inside reaches init.
func TestInitIsOutOfReach(t *testing.T) {
	sb := boot(t)
	got := sb.run(python(`
import os, signal
def attempt(what, f):
    try: f(); print(what, 'SUCCEEDED')
    except OSError as e: print(what, e.errno)
for name in ('fd/3', 'fd', 'mem', 'environ', 'exe', 'root', 'cwd', 'maps'):
    path = '/proc/1/' + name
    attempt(name, lambda: os.close(os.open(path, os.O_RDONLY)))
attempt('link', lambda: os.readlink('/proc/1/exe'))
for sig in (0, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
    attempt('signal', lambda: os.kill(1, sig))
attempt('group', lambda: os.killpg(1, 9))
attempt('setuid', lambda: os.setuid(0))
attempt('write', lambda: open('/code/x', 'w'))
`)).stdout
	for line := range strings.Lines(got) {
		// What may be denied in more than one way is only never allowed.
		if _, result, _ := strings.Cut(strings.TrimSpace(line), " "); result != "1" && result != "13" && result != "3" {
			t.Errorf("%q", line)
		}
	}
	if n := strings.Count(got, "\n"); n != 16 {
		t.Errorf("%d attempts:\n%s", n, got)
	}
}

// kill(-1) by a program ends the program's own, not the sandbox.
func TestKillAllByProgram(t *testing.T) {
	sb := boot(t)
	must(t, sb.Start(t.Context(), python(`
import os, signal
if os.fork() == 0: signal.pause()
os.kill(-1, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
`), guest.Streams{}))
	if exit := sb.wait(); exit.Status.Signal() != syscall.SIGKILL {
		t.Errorf("status %#x", uint32(exit.Status))
	}
	must(t, sb.put("/code/after", "x"))
}

// Signals from outside, where an operator's tool may send some, do not end
// init either.
func TestSignalsFromOutside(t *testing.T) {
	sb := boot(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGABRT} {
		must(t, sb.init.Process.Signal(sig))
	}
	if got := sb.run(python(`print('hello')`)).stdout; got != "hello\n" {
		t.Errorf("got %q", got)
	}
}

// Where /dev is not a mount of the sandbox's own, init does not touch it.
func TestForeignDev(t *testing.T) {
	sb := launch(t, noDevVariant)
	_, err := sb.Handshake(t.Context())
	var fatal *guest.FatalError
	if !errors.As(err, &fatal) || fatal.Step != "devices" {
		t.Fatalf("handshake: %v", err)
	}
	<-sb.ended
	if code := sb.init.ProcessState.ExitCode(); code != 70 {
		t.Errorf("exit code %d", code)
	}
}

// An init that is not pid 1 does nothing at all.
func TestNotPidOne(t *testing.T) {
	sb := boot(t)
	must(t, sb.Start(t.Context(), guest.Program{Path: "/.tako/init", UID: 1000, GID: 1000}, guest.Streams{}))
	if exit := sb.wait(); exit.Status.ExitStatus() != 70 {
		t.Errorf("status %#x", uint32(exit.Status))
	}
}

// Init itself: what it keeps and what it weighs.
func TestPostureOfInit(t *testing.T) {
	sb := boot(t)
	text, err := os.ReadFile("/proc/" + strconv.Itoa(sb.init.Process.Pid) + "/status")
	must(t, err)
	got := status(string(text))
	// CHOWN 0, DAC_OVERRIDE 1, DAC_READ_SEARCH 2, FOWNER 3, KILL 5, SETGID 6, SETUID 7, SETPCAP 8.
	for field, want := range map[string]string{
		"CapEff": "00000000000001ef", "CapPrm": "00000000000001ef", "CapBnd": "0000000000000000",
		"CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Umask": "0000",
	} {
		if got[field] != want {
			t.Errorf("%s is %q, want %q", field, got[field], want)
		}
	}
	t.Logf("idle init: %s resident", got["VmRSS"])
	if got["Threads"] != "1" {
		t.Errorf("init has %s threads", got["Threads"])
	}
	fds, err := os.ReadDir("/proc/" + strconv.Itoa(sb.init.Process.Pid) + "/fd")
	must(t, err)
	var names []string
	for _, fd := range fds {
		names = append(names, fd.Name())
	}
	// The null device three times, the control socket, and what tells of children.
	if slices.Sort(names); !slices.Equal(names, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("init's descriptors: %v", names)
	}
}

// A session greets an init that has been greeted before, as after a restore.
func TestHandshakeAgain(t *testing.T) {
	sb := boot(t)
	must(t, sb.put("/code/x", "x"))
	hello, err := sb.Handshake(t.Context())
	if err != nil || hello.PID != 1 || hello.Version != wire.Version || hello.Held {
		t.Errorf("%+v, %v", hello, err)
	}
}

// status reads the lines of a /proc status file.
func status(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}
