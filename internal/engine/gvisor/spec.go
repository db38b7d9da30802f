package gvisor

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/takovm/tako/internal/engine"
)

// Annotations by which gVisor takes the root file system from an image.
const (
	rootSource = "dev.gvisor.spec.rootfs.source"
	rootType   = "dev.gvisor.spec.rootfs.type"
)

// initCapabilities are what the guest init needs to hand over files to user
// code, to start it under its own uid and to end it. User code gets none.
func initCapabilities() []string {
	return []string{
		"CAP_CHOWN",        // give staged files to their owner
		"CAP_DAC_OVERRIDE", // stage into and collect from directories of any owner
		"CAP_FOWNER",       // set the modes of what it gave away
		"CAP_KILL",         // signal processes of another uid
		"CAP_SETGID",
		"CAP_SETUID",
		"CAP_SETPCAP", // empty the bounding set
	}
}

// buildSpec translates a spec of ours into the OCI spec of a sandbox. Each
// line of it is part of the posture that the posture test asserts.
func buildSpec(s engine.Spec, bundle string) *specs.Spec {
	caps := initCapabilities()
	return &specs.Spec{
		Version:  specs.Version,
		Hostname: s.Hostname,
		Root:     &specs.Root{Path: bundle, Readonly: true},
		Process: &specs.Process{
			Args:            s.Args,
			Env:             s.Env,
			Cwd:             s.Dir,
			NoNewPrivileges: true,
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_CORE"},
				// Init lowers it for the program, whatever tako's own is.
				{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: maxOpenFiles},
			},
		},
		Mounts: mounts(s),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace},
			},
		},
		Annotations: map[string]string{
			rootSource:      s.Image,
			rootType:        "erofs",
			annotationTotal: strconv.FormatInt(s.Memory, 10),
			annotationCPUs:  strconv.Itoa(visibleCPUs(s.CPUs)),
			annotationFiles: strconv.Itoa(s.Files),
		},
	}
}

// maxOpenFiles is the most that a job's limit of open files may be.
const maxOpenFiles = 65536

// visibleCPUs is how many processors programs see: enough for the budget, and
// two at least, because some programs leave out locks when there is one.
func visibleCPUs(cpus float64) int {
	return max(2, int(math.Ceil(cpus)))
}

// mounts are the file systems of a sandbox. /sys is an empty one: gVisor would
// mount its own, which nothing we run needs.
func mounts(s engine.Spec) []specs.Mount {
	m := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec"}},
		{Destination: "/sys", Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "nosuid", "noexec", "size=4096", "mode=0555"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec"}},
		{Destination: engine.InitDir, Type: "erofs", Source: s.Init, Options: []string{"ro", "nosuid"}},
	}
	for _, l := range s.Layers {
		m = append(m, specs.Mount{Destination: l.Path, Type: "erofs", Source: l.Image, Options: []string{"ro", "nosuid"}})
	}
	for _, t := range s.Tmpfs {
		options := []string{
			"nosuid",
			fmt.Sprintf("size=%d", t.Size),
			fmt.Sprintf("mode=%04o", uint32(t.Mode)),
			fmt.Sprintf("uid=%d", t.UID),
			fmt.Sprintf("gid=%d", t.GID),
		}
		if t.NoExec {
			options = append(options, "noexec")
		}
		m = append(m, specs.Mount{Destination: t.Path, Type: "tmpfs", Source: "tmpfs", Options: options})
	}
	return m
}

// hiddenProcs are files of /proc that tell about the host (its processor, its
// clock rate) or about the Sentry. Programs find them empty.
func hiddenProcs() string {
	return strings.Join([]string{"cpuinfo", "sentry-meminfo"}, ",")
}
