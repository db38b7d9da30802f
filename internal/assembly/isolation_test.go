package assembly

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/runner"
)

// Sandboxes that start at the same time hold no socket of one another. gVisor
// makes client sockets without close-on-exec (pkg/unet.Connect); a sandbox that
// is forked meanwhile inherits one, and has to close it first of all.
func TestSandboxesShareNoSocket(t *testing.T) {
	r := newRig(t)
	r.print(t, r.python("pass"))
	ctx, cancel := context.WithCancel(t.Context())
	const several = 16
	var runs []<-chan outcome
	begun := make(chan (<-chan outcome), several)
	for range several {
		go func() {
			live, ended := newAnnounced(), make(chan outcome, 1)
			go func() {
				res, err := r.Run(ctx, r.python("import time\nprint('up')\ntime.sleep(300)"), runner.Sinks{Stdout: live})
				ended <- outcome{res, err}
			}()
			<-live.up
			begun <- ended
		}()
	}
	for range several {
		runs = append(runs, wait(t, "a sandbox", begun))
	}
	owners := map[string]map[string]bool{}
	for _, pid := range sandboxesBelow(t, r.cfg.DataDir) {
		for _, link := range sockets(pid) {
			if owners[link] == nil {
				owners[link] = map[string]bool{}
			}
			owners[link][bundleOf(t, pid)] = true
		}
	}
	cancel()
	for _, ended := range runs {
		wait(t, "the end of a cancelled run", ended)
	}
	shared := 0
	for _, by := range owners {
		if len(by) > 1 {
			shared++
		}
	}
	if shared > 0 {
		t.Errorf("%d of %d sockets are in more than one of %d sandboxes", shared, len(owners), several)
	}
}

// sockets are the sockets that a process of the host holds, by inode.
func sockets(pid int) (links []string) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil // it has ended
	}
	for _, fd := range fds {
		if link, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(link, "socket:") {
			links = append(links, link)
		}
	}
	return links
}

// bundleOf is the bundle directory of a sandbox's process, which names it.
func bundleOf(t *testing.T, pid int) string {
	t.Helper()
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	must(t, err)
	_, rest, _ := strings.Cut(string(cmdline), "\x00--bundle=")
	bundle, _, _ := strings.Cut(rest, "\x00")
	return bundle
}
