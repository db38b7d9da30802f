package gvisor

import (
	"fmt"
	"os"
	"strings"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/flag"
)

// platformName is how gVisor intercepts system calls. systrap works without
// KVM, on virtual machines too.
const platformName = "systrap"

// sandboxFlags are what makes a sandbox what it is, in gVisor's configuration.
func sandboxFlags() []string {
	return []string{
		"--platform=" + platformName,
		"--network=none",
		"--directfs=false", // the Sentry runs as nobody
		"--overlay2=none",
		"--override-procs=" + hiddenProcs(),
		"--host-settings=ignore", // doctor's business
		"--control-rpc-stop-timeout=0s",
		fmt.Sprintf("--rootless=%t", os.Geteuid() != 0),
	}
}

// runscConfig is gVisor's configuration for a sandbox whose state lives in dir
// and which writes what it dies of to crashLog.
// debugDir is where sandboxes write gVisor's debug log; empty for none.
func runscConfig(dir, crashLog string, ignoreCgroups bool, debugDir string) (*config.Config, error) {
	flags := flag.NewFlagSet("runsc", flag.ContinueOnError)
	config.RegisterFlags(flags)
	args := append(sandboxFlags(),
		"--root="+dir,
		"--log="+crashLog,
		"--log-format=json",
		"--panic-log="+crashLog,
		fmt.Sprintf("--ignore-cgroups=%t", ignoreCgroups),
	)
	if debugDir != "" {
		args = append(args, "--debug", "--debug-log="+debugDir+"/")
	}
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("configuring gVisor: %w", err)
	}
	conf, err := config.NewFromFlags(flags)
	if err != nil {
		return nil, fmt.Errorf("configuring gVisor: %w", err)
	}
	return conf, nil
}

// routeLog sends gVisor's own messages of this process to f.
func routeLog(f func(string)) {
	log.SetTarget(&log.GoogleEmitter{Writer: &log.Writer{Next: lines(f)}})
}

// lines hands each write to a function, without its newline.
type lines func(string)

func (f lines) Write(p []byte) (int, error) {
	f(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
