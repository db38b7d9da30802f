package gvisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/container"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
	"github.com/takovm/tako/internal/engine/crash"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// nobody is the uid that a Sentry has on the host when tako runs as root.
const nobody = 65534

// validID reports whether id can be the name of a container, a directory and a
// cgroup: 1 to 64 of a-z, 0-9 and -, no - first.
func validID(id string) bool {
	if id == "" || len(id) > 64 || id[0] == '-' {
		return false
	}
	return strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// start launches spec, from a snapshot if one is given.
func (e *Engine) start(ctx context.Context, spec engine.Spec, snapshot string) (_ engine.Sandbox, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := e.check(spec); err != nil {
		return nil, err
	}
	s := &sandbox{id: spec.ID, engine: e, done: make(chan struct{})}
	var undo lifecycle.Undo
	defer func() {
		if err == nil {
			return
		}
		if ctx.Err() != nil { // whatever failed was killed for it
			err = fmt.Errorf("launching a sandbox: %w", ctx.Err())
		}
		err = errors.Join(err, undo.Run())
	}()
	if err := e.bound(s, spec, &undo); err != nil {
		return nil, err
	}
	inside, err := e.connect(s, &undo)
	if err != nil {
		return nil, err
	}
	defer inside.Close()
	bundle, oci, err := e.bundle(s, spec, &undo)
	if err != nil {
		return nil, err
	}
	s.crashLog = filepath.Join(bundle, "crash.log")
	if s.conf, err = e.config(s); err != nil {
		return nil, err
	}
	if err := e.boot(ctx, s, container.Args{
		ID: spec.ID, Spec: oci, BundleDir: bundle, Attached: true,
		PassFiles: map[int]*os.File{engine.InitFD: inside},
	}, &undo); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, spec.Link, snapshot); err != nil {
		return nil, err
	}
	if err := s.watch(spec.Memory, &undo); err != nil {
		return nil, err
	}
	s.release = undo.Release()
	return s, nil
}

// check refuses what cannot be launched, before anything is acquired.
func (e *Engine) check(spec engine.Spec) error {
	if !validID(spec.ID) {
		return fmt.Errorf("sandbox id %q: it must be 1 to 64 of a-z, 0-9 and -", spec.ID)
	}
	images := []string{spec.Image, spec.Init}
	for _, l := range spec.Layers {
		images = append(images, l.Image)
	}
	for _, path := range images {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("image %q: it must be an absolute path", path)
		}
	}
	if err := usable(); err != nil {
		return err
	}
	missing := capabilities(e.opts.Cgroups).Unenforced()
	if len(missing) > 0 && !spec.Permissive {
		return fmt.Errorf("%w: %s", engine.ErrUnenforceable, strings.Join(missing, ", "))
	}
	return nil
}

// bound makes the sandbox's cgroup.
func (e *Engine) bound(s *sandbox, spec engine.Spec, undo *lifecycle.Undo) error {
	s.unenforced = capabilities(e.opts.Cgroups).Unenforced()
	if e.opts.Cgroups == nil {
		return nil
	}
	group, err := e.opts.Cgroups.Create(e.opts.Group+"."+spec.ID, cgroup.Limits{
		Memory: spec.Memory,
		CPUs:   spec.CPUs,
		Tasks:  hostTasks(spec.Tasks),
	})
	if err != nil {
		return err
	}
	s.group = group
	undo.Add(group.Remove)
	return nil
}

// hostTasks is the backstop for host threads. Guest tasks are not host tasks
// one to one: systrap keeps threads for guest tasks and the Sentry a few per
// processor. The limit that user code meets is RLIMIT_NPROC inside; meeting
// this one would kill the Sentry.
func hostTasks(tasks int) int {
	return 4*tasks + 1024
}

// connect makes the control socket.
func (e *Engine) connect(s *sandbox, undo *lifecycle.Undo) (inside *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	inside = os.NewFile(uintptr(fds[0]), "control inside")
	ours := os.NewFile(uintptr(fds[1]), "control")
	defer ours.Close()
	if s.control, err = net.FileConn(ours); err != nil {
		inside.Close()
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	undo.Add(s.closeControl)
	return inside, nil
}

// bundle writes the spec to the directory from which the child reads it.
func (e *Engine) bundle(s *sandbox, spec engine.Spec, undo *lifecycle.Undo) (string, *specs.Spec, error) {
	dir := filepath.Join(e.opts.Dir, spec.ID)
	oci := buildSpec(spec, dir)
	if s.group != nil {
		switch e.opts.Cgroups.Version {
		case 1:
			oci.Annotations[annotationJoin] = strings.Join(s.group.ProcsFiles(), ":")
		case 2:
			oci.Linux.CgroupsPath = s.group.Path()
		}
	}
	data, err := json.Marshal(oci)
	if err != nil {
		return "", nil, fmt.Errorf("encoding the sandbox's spec: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the sandbox's bundle: %w", err)
	}
	undo.Add(func() error { return os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		return "", nil, fmt.Errorf("writing the sandbox's spec: %w", err)
	}
	return dir, oci, nil
}

func (e *Engine) config(s *sandbox) (*config.Config, error) {
	gvisorJoins := s.group != nil && e.opts.Cgroups.Version == 2
	return runscConfig(e.stateDir(), s.crashLog, !gvisorJoins, e.opts.DebugDir)
}

// boot starts the Sentry. gVisor's calls know no context: when ctx ends, whatever
// of the sandbox runs by then is killed, and they fail.
func (e *Engine) boot(ctx context.Context, s *sandbox, args container.Args, undo *lifecycle.Undo) error {
	if s.group != nil && os.Geteuid() == 0 && e.opts.Cgroups.Version == 1 {
		if err := s.group.Chown(nobody); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { s.kill() })
	defer stop()
	giveBack := e.stdio.lend()
	c, err := container.New(s.conf, args)
	giveBack()
	if err != nil {
		return confined(s.bootError("starting the sandbox's process", err))
	}
	s.container, s.sentry = c, c.Sandbox
	undo.Add(s.destroyContainer)
	s.pid.Store(int64(s.sentry.Getpid()))
	if s.group != nil && os.Geteuid() == 0 && e.opts.Cgroups.Version == 1 {
		if err := s.group.Chown(0); err != nil {
			return err
		}
	}
	if err := s.openPidfd(undo); err != nil {
		return err
	}
	if s.group != nil {
		return s.group.Verify(int(s.pid.Load()))
	}
	return nil
}

// begin starts init, or has what a snapshot holds go on.
func (s *sandbox) begin(ctx context.Context, link *engine.Link, snapshot string) (err error) {
	stop := context.AfterFunc(ctx, func() { s.kill() })
	defer stop()
	switch {
	case snapshot != "" && link != nil:
		err = s.container.Restore(s.conf, snapshot, false, false, networkArgs(link))
	case snapshot != "":
		err = s.container.Restore(s.conf, snapshot, false, false, nil)
	default:
		if err = s.container.Start(s.conf); err == nil && link != nil {
			err = s.link(link)
		}
	}
	if err != nil {
		return s.bootError("starting init in the sandbox", err)
	}
	return nil
}

// confined gives the mend where this process may not make namespaces: it is in a
// chroot, or in a container that is held more closely than tako needs. gVisor
// keeps the text of that error only.
func confined(err error) error {
	if !strings.Contains(err.Error(), "fork/exec /proc/self/exe: "+syscall.EPERM.Error()) {
		return err
	}
	return job.Errorf(job.KindUnavailable, "this process may not make the namespaces of a sandbox: %w", err).
		WithHint("run tako outside of a chroot; in a container, run that privileged, or with profiles of seccomp and AppArmor that allow user namespaces and mounts")
}

// bootError prefers what the sandbox's process said itself.
func (s *sandbox) bootError(doing string, err error) error {
	if said := crash.LastWords(s.crashLog); said != "" {
		return fmt.Errorf("%s: %s", doing, said)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
