package guest_test

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takovm/tako/internal/guest"
)

const heldScript = "/code/main.py"

// interpreter is Python as a job has it: it will read its script by name.
func interpreter() guest.Program {
	return guest.Program{Path: "/usr/bin/python3", Args: []string{"/usr/bin/python3", heldScript}, Env: []string{"LANG=C.UTF-8"},
		Dir: "/tmp", UID: 1000, GID: 1000}
}

// hold boots a sandbox in which Python waits for its script.
func hold(t *testing.T) *sandbox {
	t.Helper()
	sb := boot(t)
	sb.hold(interpreter())
	return sb
}

func (sb *sandbox) hold(p guest.Program) {
	sb.t.Helper()
	must(sb.t, sb.Hold(sb.t.Context(), p, heldScript))
	must(sb.t, sb.Open(sb.t.Context()))
}

// released puts code where the held program looks for it, lets it go and waits
// for its end.
func (sb *sandbox) released(code string) finished {
	sb.t.Helper()
	must(sb.t, sb.put(heldScript, code))
	var stdout, stderr bytes.Buffer
	must(sb.t, sb.Release(sb.t.Context(), guest.Streams{Stdout: &stdout, Stderr: &stderr}))
	return finished{Exit: sb.wait(), stdout: stdout.String(), stderr: stderr.String()}
}

func TestHeldRunsAsAScript(t *testing.T) {
	f := hold(t).released(`
import os, sys
print(__name__, __file__, sys.argv, sys.path[0], os.getcwd(), type(__loader__).__name__, sys.stdin.read() == '')
print(sorted(os.listdir('/proc/self/fd'))[:4], open('/proc/self/cmdline').read().split('\0'))
print(os.stat(__file__).st_size == len(open(__file__).read()), os.listdir('/code'))
def fail():
    raise ValueError('here')
fail()
`)
	want := "__main__ /code/main.py ['/code/main.py'] /code /tmp SourceFileLoader True\n" +
		"['0', '1', '2', '3'] ['/usr/bin/python3', '/code/main.py', '']\nTrue ['main.py']\n"
	if f.stdout != want {
		t.Errorf("got %s\nwant %s", f.stdout, want)
	}
	if f.Status.ExitStatus() != 1 || !strings.Contains(f.stderr, `File "/code/main.py", line 8, in <module>`) ||
		!strings.Contains(f.stderr, "    raise ValueError('here')\n") {
		t.Errorf("status %#x, stderr:\n%s", uint32(f.Status), f.stderr)
	}
}

// What a pipe holds by itself is less than a script may have.
func TestHeldLongScript(t *testing.T) {
	code := "print('begin')\n" + strings.Repeat("# "+strings.Repeat("x", 97)+"\n", 9990) + "print('end')\n"
	f := hold(t).released(code)
	if f.stdout != "begin\nend\n" || f.Status != 0 {
		t.Errorf("%q, status %#x, stderr %s", f.stdout, uint32(f.Status), f.stderr)
	}
}

// The time before the release is nobody's: the program did not exist yet.
func TestHeldUsage(t *testing.T) {
	sb := boot(t)
	p := interpreter()
	p.Args = []string{p.Path, "-c", "for _ in range(20_000_000): pass\nexec(open('" + heldScript + "').read())"}
	sb.hold(p)
	begun := time.Now()
	f := sb.released("print('x')")
	if f.Usage.Wall > time.Since(begun) {
		t.Errorf("%v of wall time, but it was released %v ago", f.Usage.Wall, time.Since(begun))
	}
	// Twenty million rounds take several times that on any machine.
	if f.Usage.CPUTime > 100*time.Millisecond {
		t.Errorf("%v of CPU time", f.Usage.CPUTime)
	}
}

// What the interpreter said while it came up is the program's.
func TestHeldOutputWaits(t *testing.T) {
	sb := boot(t)
	p := interpreter()
	p.Env = append(p.Env, "PYTHONWARNINGS=nonsense")
	sb.hold(p)
	f := sb.released("print('x')")
	if !strings.HasPrefix(f.stderr, "Invalid -W option ignored") || f.stdout != "x\n" {
		t.Errorf("stdout %q, stderr %q", f.stdout, f.stderr)
	}
}

func TestHoldFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*guest.Program)
		script string
		want   error
	}{
		"it ends before it reads":  {func(p *guest.Program) { p.Args = []string{p.Path, "-c", "pass"} }, heldScript, syscall.ECHILD},
		"no such program":          {func(p *guest.Program) { p.Path = "/usr/bin/nothing" }, heldScript, syscall.ENOENT},
		"the script is elsewhere":  {func(*guest.Program) {}, "/etc/passwd", nil},
		"the script has no name":   {func(*guest.Program) {}, "", nil},
		"a directory in its place": {func(*guest.Program) {}, "/code/dir", syscall.EEXIST},
	} {
		t.Run(name, func(t *testing.T) {
			sb := boot(t)
			must(t, sb.Mkdir(t.Context(), "/code/dir", 0o755, 0, 0))
			p := interpreter()
			c.change(&p)
			err := sb.Hold(t.Context(), p, c.script)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestHoldOrderOfCalls(t *testing.T) {
	sb := boot(t)
	if err := sb.Release(t.Context(), guest.Streams{}); err == nil {
		t.Error("nothing was held and it was released")
	}
	if err := sb.Open(t.Context()); err == nil {
		t.Error("nothing was held and it was opened")
	}
	must(t, sb.Hold(t.Context(), interpreter(), heldScript))
	if err := sb.Start(t.Context(), python(""), guest.Streams{}); err == nil {
		t.Error("a second program was started")
	}
	if err := sb.Hold(t.Context(), interpreter(), heldScript); err == nil {
		t.Error("a second program is held")
	}
	if err := sb.Release(t.Context(), guest.Streams{Stdin: strings.NewReader("x")}); err == nil {
		t.Error("a held program got input")
	}
	must(t, sb.Open(t.Context()))
	must(t, sb.put(heldScript, "print(1)"))
	must(t, sb.Release(t.Context(), guest.Streams{}))
	sb.wait()
	if err := sb.Open(t.Context()); err == nil {
		t.Error("it was opened when it had been released")
	}
	if err := sb.Release(t.Context(), guest.Streams{}); err == nil {
		t.Error("it was released twice")
	}
}

// What the program does before it asks for its script is no reason to wait in vain:
// it gets there when it is let open it.
func TestHeldAsleepElsewhere(t *testing.T) {
	sb := boot(t)
	p := interpreter()
	p.Args = []string{p.Path, "-c", "import time; time.sleep(1); exec(open('" + heldScript + "').read())"}
	sb.hold(p)
	if f := sb.released("print('x')"); f.stdout != "x\n" || f.Status != 0 {
		t.Errorf("stdout %q, status %#x, stderr %s", f.stdout, uint32(f.Status), f.stderr)
	}
}

// What cannot open its script is not held.
func TestOpenFails(t *testing.T) {
	for name, c := range map[string]struct {
		code, file string
		want       error
	}{
		"it ends":                {"import time; time.sleep(1)", "", syscall.ECHILD},
		"a script that is early": {"import time; time.sleep(1)", heldScript, syscall.EEXIST},
	} {
		t.Run(name, func(t *testing.T) {
			sb := boot(t)
			p := interpreter()
			p.Args = []string{p.Path, "-c", c.code}
			must(t, sb.Hold(t.Context(), p, heldScript))
			if c.file != "" {
				must(t, sb.put(c.file, "print(1)"))
			}
			if err := sb.Open(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Code that goes with the release is there when the program reads it, or the
// program does not run.
func TestReleaseWithFiles(t *testing.T) {
	file := func(path, content string) guest.Content {
		return guest.Content{File: guest.File{Path: path, Mode: 0o444}, Bytes: []byte(content)}
	}
	script := file(heldScript, "print(open('/input/data').read())")
	t.Run("good", func(t *testing.T) {
		sb := hold(t)
		var stdout bytes.Buffer
		must(t, sb.Release(t.Context(), guest.Streams{Stdout: &stdout}, script, file("/input/data", "here")))
		if exit := sb.wait(); exit.Status != 0 || stdout.String() != "here\n" {
			t.Errorf("status %#x, %q", uint32(exit.Status), stdout.String())
		}
	})
	t.Run("large", func(t *testing.T) {
		sb := hold(t)
		var stdout bytes.Buffer
		must(t, sb.Release(t.Context(), guest.Streams{Stdout: &stdout}, script, file("/input/data", strings.Repeat("x", 300<<10))))
		if exit := sb.wait(); exit.Status != 0 || stdout.Len() != 300<<10+1 {
			t.Errorf("status %#x, %d bytes", uint32(exit.Status), stdout.Len())
		}
	})
	for name, files := range map[string][]guest.Content{
		"the last one fails":  {script, file("/input/dir", "x")},
		"the first one fails": {file("/input/dir", "x"), script},
	} {
		t.Run(name, func(t *testing.T) {
			sb := hold(t)
			must(t, sb.Mkdir(t.Context(), "/input/dir", 0o755, 0, 0))
			err := sb.Release(t.Context(), guest.Streams{}, files...)
			var failed *guest.FileError
			if !errors.As(err, &failed) || failed.Path != "/input/dir" {
				t.Errorf("got %v", err)
			}
			if _, err := sb.Wait(t.Context()); err == nil {
				t.Error("the program was let go")
			}
		})
	}
}

// What finds the session ended has sent nothing, and says so.
func TestUnsent(t *testing.T) {
	sb := hold(t)
	must(t, sb.init.Process.Kill())
	<-sb.ended
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C { // until the session knows
		err := sb.Release(t.Context(), guest.Streams{})
		if errors.Is(err, guest.ErrUnsent) && errors.Is(err, guest.ErrLost) {
			return
		}
		if err == nil {
			t.Fatal("it was released")
		}
	}
	t.Error("the session does not know that it has ended")
}

func TestReleaseWithoutScript(t *testing.T) {
	err := hold(t).Release(t.Context(), guest.Streams{})
	var exec *guest.ExecError
	if !errors.As(err, &exec) || exec.Step != "hold" || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
}

// The program is under the filter from its first instruction, held or not, and
// init is not.
func TestFilter(t *testing.T) {
	const code = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    libc.syscall(number, *args)
    return errno.errorcode.get(ctypes.get_errno())
def seccomp(pid):
    return [l.split()[1] for l in open(f'/proc/{pid}/status') if l.startswith('Seccomp:')]
print(seccomp('self'), seccomp(1), call(272, 0x10000000), call(435, 0, 0), call(101, 0, 0, 0, 0))
`
	const want = "['2'] ['0'] EPERM ENOSYS EPERM\n"
	if f := boot(t).run(python(code)); f.stdout != want {
		t.Errorf("a program sees %q", f.stdout)
	}
	if f := hold(t).released(code); f.stdout != want {
		t.Errorf("a held program sees %q", f.stdout)
	}
}
