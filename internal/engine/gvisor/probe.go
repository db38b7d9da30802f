package gvisor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
	"github.com/takovm/tako/internal/job"
)

// Probe finds out what this host can enforce.
func (e *Engine) Probe(ctx context.Context) (engine.Capabilities, error) {
	return Probe(ctx, e.opts.Cgroups)
}

// Probe is Engine.Probe without an engine, where groups (which may be nil)
// would bound the sandboxes.
func Probe(_ context.Context, groups *cgroup.Tree) (engine.Capabilities, error) {
	c := capabilities(groups)
	c.Ready = true
	if err := usable(); err != nil {
		c.Ready, c.Reason, c.Hint = false, err.Msg, err.Hint
	}
	return c, nil
}

// usable says why no sandbox can be started on this host, as far as that can
// be read beforehand; nil when nothing speaks against it.
func usable() *job.Error {
	if runtime.GOARCH != "amd64" {
		return job.Errorf(job.KindUnavailable, "this version of tako knows amd64 only")
	}
	switches := []struct {
		file, off string
		root      bool // holds for root, too
		mend      string
	}{
		{"/proc/sys/user/max_user_namespaces", "0", true, "sysctl -w user.max_user_namespaces=10000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", false, "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", false, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
	}
	for _, s := range switches {
		data, err := os.ReadFile(s.file)
		if err != nil || strings.TrimSpace(string(data)) != s.off || !s.root && os.Geteuid() == 0 {
			continue
		}
		return job.Errorf(job.KindUnavailable, "a sandbox needs a user namespace, and this host allows none (%s is %s)", s.file, s.off).
			WithHint("let root allow them: %s", s.mend)
	}
	return nil
}

// capabilities lists every limit and what holds it.
func capabilities(t *cgroup.Tree) engine.Capabilities {
	c := engine.Capabilities{Rootless: os.Geteuid() != 0}
	if t != nil {
		c.CgroupVersion = t.Version
	}
	inCgroup := func(name, controller string) engine.LimitSupport {
		if t.Has(controller) {
			return engine.LimitSupport{Name: name, Enforced: true, By: fmt.Sprintf("cgroup v%d, %s controller", t.Version, controller)}
		}
		return engine.LimitSupport{Name: name, Hint: cgroupHint(controller, c.Rootless)}
	}
	inside := func(name, by string) engine.LimitSupport {
		return engine.LimitSupport{Name: name, Enforced: true, By: by}
	}
	c.Limits = []engine.LimitSupport{
		inCgroup("memory", cgroup.Memory),
		inCgroup("cpus", cgroup.CPU),
		inCgroup("host tasks", cgroup.PIDs),
		inside("pids", "RLIMIT_NPROC inside"),
		inside("open files", "RLIMIT_NOFILE inside"),
		inside("file size", "RLIMIT_FSIZE inside"),
		inside("disk", "tmpfs size inside"),
		inside("files", "tmpfs inodes inside"),
		inside("output", "the runner"),
		inside("time", "the runner"),
	}
	return c
}

func cgroupHint(controller string, rootless bool) string {
	if rootless {
		return "run tako as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes tako ..."
	}
	return fmt.Sprintf("mount the %s cgroup controller writable below /sys/fs/cgroup", controller)
}
