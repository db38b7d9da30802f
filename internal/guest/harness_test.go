package guest_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/guest/initbin"
)

// The integration tests run the real init as pid 1 of fresh namespaces, with
// exactly the capabilities that the engine gives it, on a private root: the
// machine's /usr and /etc read-only, everything else a tmpfs. This binary
// executes itself to build that root from the inside.

const (
	rootVariable    = "TAKO_GUEST_TEST_ROOT"
	variantVariable = "TAKO_GUEST_TEST_VARIANT"
	noDevVariant    = "/dev is no mount"
	emptyVariant    = "nothing is in /output"
)

// patience bounds every wait of a test; nothing comes near it.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if root := os.Getenv(rootVariable); root != "" {
		fmt.Fprintln(os.Stderr, "sandbox:", becomeInit(root, os.Getenv(variantVariable)))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// sandbox is one init under test.
type sandbox struct {
	*guest.Session
	t      *testing.T
	init   *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

// launch starts an init and leaves the greeting to the caller.
func launch(t *testing.T, variant string) *sandbox {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes namespaces and devices, and runs programs as another user")
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	inside, ours := os.NewFile(uintptr(fds[0]), "inside"), os.NewFile(uintptr(fds[1]), "ours")
	conn, err := net.FileConn(ours)
	must(t, err)
	ours.Close()

	sb := &sandbox{t: t, ended: make(chan struct{})}
	sb.init = exec.Command("/proc/self/exe")
	sb.init.Env = []string{rootVariable + "=" + t.TempDir(), variantVariable + "=" + variant}
	sb.init.ExtraFiles = []*os.File{inside}
	sb.init.Stderr = &sb.stderr
	sb.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	must(t, sb.init.Start())
	inside.Close()
	go func() {
		defer close(sb.ended)
		sb.init.Wait() //nolint:errcheck // tests look at ProcessState
	}()
	sb.Session = guest.NewSession(conn)
	t.Cleanup(sb.destroy)
	return sb
}

// boot is launch and the greeting.
func boot(t *testing.T) *sandbox {
	t.Helper()
	return bootAs(t, "")
}

func bootAs(t *testing.T, variant string) *sandbox {
	t.Helper()
	sb := launch(t, variant)
	if _, err := sb.Handshake(t.Context()); err != nil {
		sb.destroy()
		t.Fatalf("handshake: %v\n%s", err, sb.stderr.String())
	}
	return sb
}

// destroy checks that init ends with its session.
func (sb *sandbox) destroy() {
	sb.Close()
	select {
	case <-sb.ended:
	case <-time.After(patience):
		sb.init.Process.Kill()
		<-sb.ended
		sb.t.Error("init outlived its session")
	}
	if sb.t.Failed() && sb.stderr.Len() > 0 {
		sb.t.Logf("init's stderr: %s", sb.stderr.String())
	}
}

// python is a program that runs code as uid 1000.
func python(code string) guest.Program {
	return guest.Program{Path: "/usr/bin/python3", Args: []string{"python3", "-I", "-S", "-c", code}, Env: []string{"LANG=C.UTF-8"},
		Dir: "/tmp", UID: 1000, GID: 1000}
}

// finished is what became of a program.
type finished struct {
	guest.Exit
	stdout, stderr string
}

// run starts p, waits for its end and expects it to exit with 0.
func (sb *sandbox) run(p guest.Program) finished {
	sb.t.Helper()
	var stdout, stderr bytes.Buffer
	must(sb.t, sb.Start(sb.t.Context(), p, guest.Streams{Stdout: &stdout, Stderr: &stderr}))
	f := finished{Exit: sb.wait()}
	f.stdout, f.stderr = stdout.String(), stderr.String()
	if !f.Status.Exited() || f.Status.ExitStatus() != 0 {
		sb.t.Errorf("status %#x, stderr:\n%s", uint32(f.Status), f.stderr)
	}
	return f
}

func (sb *sandbox) wait() guest.Exit {
	sb.t.Helper()
	ctx, cancel := context.WithTimeout(sb.t.Context(), patience)
	defer cancel()
	exit, err := sb.Wait(ctx)
	must(sb.t, err)
	if exit.Survivors {
		sb.t.Error("something survived")
	}
	return exit
}

func (sb *sandbox) put(path, text string) error {
	f := guest.File{Path: path, Mode: 0o644, Size: int64(len(text))}
	return sb.Put(sb.t.Context(), f, strings.NewReader(text))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// becomeInit builds the root at root and executes init in it. It returns only
// with an error.
func becomeInit(root, variant string) error {
	runtime.LockOSThread() // capabilities are a thread's
	os.Clearenv()
	if err := buildRoot(root, variant); err != nil {
		return err
	}
	if err := limitCapabilities(); err != nil {
		return err
	}
	// Whatever started the tests may have left descriptors open.
	if err := unix.CloseRange(4, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	return syscall.Exec("/.tako/init", []string{"init"}, nil)
}

func buildRoot(root, variant string) error {
	undo := &steps{}
	undo.do(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	undo.do(unix.Mount("tmpfs", root, "tmpfs", 0, "mode=755"))
	for _, dir := range []string{"usr", "etc", "bin", "sbin", "lib", "lib64"} {
		undo.do(mirror(root, dir))
	}
	for dir, options := range map[string]string{
		"dev": "mode=755", "code": "mode=755,size=8m", "input": "mode=755,size=8m", "app": "mode=755,size=8m",
		"tmp": "mode=1777,size=64m", "output": "mode=777,size=64m",
	} {
		undo.do(os.Mkdir(filepath.Join(root, dir), 0o755))
		if dir != "dev" || variant != noDevVariant {
			undo.do(unix.Mount("tmpfs", filepath.Join(root, dir), "tmpfs", unix.MS_NOSUID, options))
		}
	}
	undo.do(os.Mkdir(root+"/proc", 0o755))
	undo.do(unix.Mount("proc", root+"/proc", "proc", 0, ""))
	undo.do(makeDevices(root + "/dev"))
	undo.do(os.Mkdir(root+"/.tako", 0o755))
	undo.do(os.WriteFile(root+"/.tako/init", initbin.Binary(), 0o755))
	// A regular file whose size is a lie: a page, with less in it.
	if variant != emptyVariant {
		undo.do(os.WriteFile(root+"/output/shrunk", nil, 0o644))
		undo.do(unix.Mount("/sys/kernel/mm/transparent_hugepage/enabled", root+"/output/shrunk", "", unix.MS_BIND, ""))
	}
	undo.do(unix.Chdir(root))
	undo.do(unix.PivotRoot(".", "."))
	undo.do(unix.Unmount(".", unix.MNT_DETACH))
	undo.do(unix.Chdir("/"))
	undo.do(unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	return undo.err
}

// steps remembers the first error.
type steps struct {
	n   int
	err error
}

func (s *steps) do(err error) {
	s.n++
	if s.err == nil && err != nil {
		s.err = fmt.Errorf("step %d: %w", s.n, err)
	}
}

// mirror shows the machine's directory of that name, or copies the link.
func mirror(root, name string) error {
	if target, err := os.Readlink("/" + name); err == nil {
		return os.Symlink(target, filepath.Join(root, name))
	}
	if _, err := os.Stat("/" + name); err != nil {
		return nil
	}
	to := filepath.Join(root, name)
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	return unix.Mount("/"+name, to, "", unix.MS_BIND|unix.MS_REC, "")
}

// makeDevices fills a /dev like gVisor's, with what user code must not reach.
func makeDevices(dev string) error {
	var s steps
	s.do(os.MkdirAll(dev+"/net", 0o755))
	s.do(os.Mkdir(dev+"/shm", 0o1777))
	s.do(os.Mkdir(dev+"/pts", 0o755))
	for name, number := range map[string][2]uint32{
		"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0},
		"fuse": {10, 229}, "net/tun": {10, 200}, "kmsg": {1, 11},
	} {
		s.do(unix.Mknod(filepath.Join(dev, name), unix.S_IFCHR|0o666, int(unix.Mkdev(number[0], number[1]))))
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		s.do(os.Symlink(target, filepath.Join(dev, name)))
	}
	return s.err
}

// limitCapabilities leaves what the engine's specification gives init.
func limitCapabilities() error {
	kept := map[int]bool{
		unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_DAC_READ_SEARCH: true, unix.CAP_FOWNER: true,
		unix.CAP_KILL: true, unix.CAP_SETUID: true, unix.CAP_SETGID: true, unix.CAP_SETPCAP: true,
	}
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if !kept[c] {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && err != unix.EINVAL {
				return err
			}
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}
