// Package enginetest is the suite that every isolation engine passes. A
// driver's test file calls Run; see gvisor's.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/guest"
)

// Config is what the suite needs of a driver.
type Config struct {
	// New returns an engine, closed by the test's cleanup.
	New func(t *testing.T) engine.Engine
	// Image is a root file system with a shell and python3, Init the image of
	// the guest init.
	Image, Init string
	// HostPID is the host process whose death is the sandbox's.
	HostPID func(engine.Sandbox) int
	// Permissive launches without limits that this host cannot enforce.
	Permissive bool
}

// patience bounds waits for what has to happen; nothing waits that long.
const patience = 30 * time.Second

// suite is Config at work.
type suite struct {
	Config
	mu sync.Mutex
	n  int
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	s := &suite{Config: c}
	tests := []struct {
		name string
		test func(*testing.T)
	}{
		{"Launch", s.launch}, {"LaunchRefuses", s.launchRefuses}, {"LaunchCancelled", s.launchCancelled},
		{"LaunchInParallel", s.launchInParallel},
		{"ExecStreams", s.execStreams}, {"ExecStatus", s.execStatus}, {"ExecAfterEnd", s.execAfterEnd},
		{"Signal", s.signal}, {"WaitIsTheSameForAll", s.waitSame}, {"WaitEndsWithContext", s.waitContext},
		{"Stats", s.stats}, {"CauseExit", s.causeExit}, {"CauseDestroyed", s.causeDestroyed},
		{"CauseMemory", s.causeMemory}, {"CauseEngine", s.causeEngine},
		{"CheckpointRestore", s.checkpointRestore}, {"RestoreCorrupt", s.restoreCorrupt},
		{"RestoreHeld", s.restoreHeld}, {"Shape", s.shape},
		{"DestroyManyTimes", s.destroyManyTimes}, {"Posture", s.posture},
		{"PostureRestored", s.postureRestored}, {"Link", s.link},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.test)
	}
}

// Spec is a small sandbox; id makes it unique.
func (s *suite) spec() engine.Spec {
	s.mu.Lock()
	s.n++
	id := "t" + strconv.Itoa(s.n)
	s.mu.Unlock()
	return Spec(id, s.Config)
}

// Spec is the sandbox of the suite, which the posture is about.
func Spec(id string, c Config) engine.Spec {
	return engine.Spec{
		ID: id, Image: c.Image, Init: c.Init,
		Args: []string{engine.InitDir + "/init"}, Env: []string{"TAKO=1"}, Dir: "/", Hostname: "tako",
		Tmpfs: []engine.Tmpfs{
			{Path: "/tmp", Size: 16 << 20, Mode: 0o1777, NoExec: true},
			{Path: "/output", Size: 8 << 20, Mode: 0o777},
			{Path: "/app", Size: 4 << 20, Mode: 0o755, UID: 1000, GID: 1000},
			{Path: "/code", Size: 2 << 20, Mode: 0o755},
			{Path: "/input", Size: 2 << 20, Mode: 0o755},
			{Path: "/dev/shm", Size: 4 << 20, Mode: 0o1777, NoExec: true},
		},
		Files: 1000, Memory: 256 << 20, CPUs: 1, Tasks: 50, Permissive: c.Permissive,
	}
}

func (s *suite) start(t *testing.T) (engine.Engine, engine.Sandbox) {
	t.Helper()
	e := s.New(t)
	return e, s.sandbox(t, e, s.spec())
}

func (s *suite) sandbox(t *testing.T, e engine.Engine, spec engine.Spec) engine.Sandbox {
	t.Helper()
	sb, err := e.Launch(t.Context(), spec)
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	t.Cleanup(func() {
		if err := sb.Destroy(); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return sb
}

// greet opens a session with the init inside.
func greet(t *testing.T, sb engine.Sandbox) *guest.Session {
	t.Helper()
	session := guest.NewSession(sb.Control())
	t.Cleanup(func() { session.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := session.Handshake(ctx); err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return session
}

// python runs code as user code and returns its output.
func python(t *testing.T, session *guest.Session, code string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errOut bytes.Buffer
	err := session.Start(ctx, guest.Program{
		Path: "/usr/bin/python3", Args: []string{"python3", "-c", code}, Env: []string{"PATH=/usr/bin:/bin"},
		Dir: "/app", UID: 1000, GID: 1000,
	}, guest.Streams{Stdout: &out, Stderr: &errOut})
	if err != nil {
		t.Fatalf("starting python: %v", err)
	}
	exit, err := session.Wait(ctx)
	if err != nil {
		t.Fatalf("waiting for python: %v", err)
	}
	if !exit.Status.Exited() || exit.Status.ExitStatus() != 0 {
		t.Fatalf("python ended with %v:\n%s%s", exit.Status, out.String(), errOut.String())
	}
	return out.String()
}

func (s *suite) launch(t *testing.T) {
	_, sb := s.start(t)
	if got := python(t, greet(t, sb), "print(6*7)"); got != "42\n" {
		t.Errorf("python printed %q", got)
	}
}

func (s *suite) launchRefuses(t *testing.T) {
	e := s.New(t)
	for name, change := range map[string]func(*engine.Spec){
		"id":             func(sp *engine.Spec) { sp.ID = "../x" },
		"relative image": func(sp *engine.Spec) { sp.Image = "image" },
		"no image":       func(sp *engine.Spec) { sp.Image = "/nonexistent.erofs" },
		"not an image":   func(sp *engine.Spec) { sp.Image = os.Args[0] },
		"no init":        func(sp *engine.Spec) { sp.Args = []string{"/.tako/none"} },
	} {
		spec := s.spec()
		change(&spec)
		sb, err := e.Launch(t.Context(), spec)
		if err == nil {
			t.Errorf("%s: launched", name)
			sb.Destroy()
		}
	}
}

func (s *suite) launchCancelled(t *testing.T) {
	e := s.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Launch(ctx, s.spec()); !errors.Is(err, context.Canceled) {
		t.Errorf("launch with a dead context: %v", err)
	}
	for delay := range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(delay)*10*time.Millisecond)
		sb, err := e.Launch(ctx, s.spec())
		if err == nil {
			err = sb.Destroy()
		} else if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		if err != nil {
			t.Errorf("launch given up after %d0 ms: %v", delay, err)
		}
		cancel()
	}
}

func (s *suite) launchInParallel(t *testing.T) {
	e := s.New(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			sb, err := e.Launch(t.Context(), s.spec())
			if err != nil {
				t.Errorf("launch: %v", err)
				return
			}
			if err := sb.Destroy(); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	wg.Wait()
}

// exec runs a shell command beside init and returns its output and status.
func exec(t *testing.T, sb engine.Sandbox, stdin string, command string) (stdout, stderr string, status syscall.WaitStatus) {
	t.Helper()
	in, out, errOut := pipe(t), pipe(t), pipe(t)
	p, err := sb.Exec(t.Context(), engine.ExecSpec{
		Args: []string{"/bin/sh", "-c", command}, Env: []string{"PATH=/usr/bin:/bin", "GREETING=hello"}, Dir: "/tmp",
		UID: 1000, GID: 1000, Stdin: in.r, Stdout: out.w, Stderr: errOut.w,
	})
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	in.r.Close()
	out.w.Close()
	errOut.w.Close()
	if _, err := io.WriteString(in.w, stdin); err != nil {
		t.Fatalf("writing its stdin: %v", err)
	}
	in.w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if status, err = p.Wait(ctx); err != nil {
		t.Fatalf("waiting for it: %v", err)
	}
	return readAll(t, out.r), readAll(t, errOut.r), status
}

type pipeEnds struct{ r, w *os.File }

func pipe(t *testing.T) pipeEnds {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return pipeEnds{r, w}
}

func readAll(t *testing.T, f *os.File) string {
	t.Helper()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (s *suite) execStreams(t *testing.T) {
	_, sb := s.start(t)
	out, errOut, status := exec(t, sb, "line\n", `cat; echo "$GREETING" "$(pwd)" "$(id -u):$(id -g)" >&2`)
	if out != "line\n" || errOut != "hello /tmp 1000:1000\n" || status != 0 {
		t.Errorf("stdout %q, stderr %q, status %v", out, errOut, status)
	}
}

func (s *suite) execStatus(t *testing.T) {
	_, sb := s.start(t)
	if _, _, status := exec(t, sb, "", "exit 7"); !status.Exited() || status.ExitStatus() != 7 {
		t.Errorf("exit 7 is %v", status)
	}
	if _, _, status := exec(t, sb, "", "kill -9 $$"); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("kill -9 is %v", status)
	}
	out, _, _ := exec(t, sb, "", "grep -E 'Cap(Prm|Eff)|NoNewPrivs' /proc/self/status")
	want := "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
	if out != want {
		t.Errorf("the status of a program is\n%s want\n%s", out, want)
	}
}

func (s *suite) execAfterEnd(t *testing.T) {
	_, sb := s.start(t)
	if err := sb.Destroy(); err != nil {
		t.Fatal(err)
	}
	if _, err := sb.Exec(t.Context(), engine.ExecSpec{Args: []string{"/bin/true"}}); !errors.Is(err, engine.ErrGone) {
		t.Errorf("exec in a sandbox that ended: %v", err)
	}
	if err := sb.Signal(t.Context(), syscall.SIGTERM); !errors.Is(err, engine.ErrGone) {
		t.Errorf("signal to a sandbox that ended: %v", err)
	}
	if _, err := sb.Checkpoint(t.Context(), t.TempDir()); !errors.Is(err, engine.ErrGone) {
		t.Errorf("checkpoint of a sandbox that ended: %v", err)
	}
}

func (s *suite) signal(t *testing.T) {
	_, sb := s.start(t)
	session := greet(t, sb) // init is up and ignores signals
	in, out := pipe(t), pipe(t)
	p, err := sb.Exec(t.Context(), engine.ExecSpec{
		Args: []string{"/bin/cat"}, Dir: "/", UID: 1000, GID: 1000,
		Stdin: in.r, Stdout: out.w, Stderr: out.w,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := sb.Signal(ctx, syscall.SIGTERM); err != nil {
		t.Fatalf("signal: %v", err)
	}
	status, err := p.Wait(ctx)
	out.w.Close()
	if err != nil || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("a program that got SIGTERM ended with %v, %v and said %q", status, err, readAll(t, out.r))
	}
	// init is not moved by it.
	if got := python(t, session, "print('alive')"); strings.TrimSpace(got) != "alive" {
		t.Errorf("after SIGTERM to all, init answers %q", got)
	}
}
