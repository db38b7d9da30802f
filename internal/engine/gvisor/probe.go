package gvisor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
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
	if c.Rootless {
		if why := userNamespacesOff(); why != "" {
			c.Ready = false
			c.Reason = "an ordinary user may not make user namespaces here: " + why
			c.Hint = "run tako as root, or let root allow them: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
		}
	}
	if runtime.GOARCH != "amd64" {
		c.Ready = false
		c.Reason = "this build of tako knows amd64 only"
	}
	return c, nil
}

// userNamespacesOff reads the switches that keep ordinary users from making
// user namespaces; "" when none is set.
func userNamespacesOff() string {
	switches := []struct{ file, off string }{
		{"/proc/sys/user/max_user_namespaces", "0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
	}
	for _, s := range switches {
		data, err := os.ReadFile(s.file)
		if err == nil && strings.TrimSpace(string(data)) == s.off {
			return fmt.Sprintf("%s is %s", s.file, s.off)
		}
	}
	return ""
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
