package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine/cgroup"
)

// Reclaimed counts what a dead process had left.
type Reclaimed struct {
	Homes, Processes, Mounts, Groups int
}

// Reclaim removes all that processes which died have left below dataDir:
// their sandboxes' processes, mounts, cgroups and files. What belongs to a
// living process is locked by it and stays, and so does everything that is not
// a home of ours. groups may be nil. An error leaves what it is about for the
// next time; the caller can go on.
func Reclaim(ctx context.Context, dataDir string, groups *cgroup.Tree) (Reclaimed, error) {
	var sum Reclaimed
	dead, err := deadHomes(ctx, filepath.Join(dataDir, runDir))
	errs := []error{err}
	for _, h := range dead {
		errs = append(errs, h.reclaim(groups, &sum))
	}
	return sum, errors.Join(errs...)
}

// deadHome is a home whose process is dead, locked by us.
type deadHome struct {
	dir  string
	lock *os.File
	// copied: the home is a copy of another, whose process may live.
	copied bool
}

// deadHomes finds and locks them. It holds the lock of run/ for that long, not
// for as long as removing them takes.
func deadHomes(ctx context.Context, run string) ([]*deadHome, error) {
	all, err := lockAll(ctx, run)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	entries, err := os.ReadDir(run)
	if err != nil {
		return nil, fmt.Errorf("looking for what dead processes left: %w", err)
	}
	var dead []*deadHome
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() || !homeName().MatchString(entry.Name()) {
			continue
		}
		h, err := lockDead(filepath.Join(run, entry.Name()))
		errs = append(errs, err)
		if h != nil {
			dead = append(dead, h)
		}
	}
	return dead, errors.Join(errs...)
}

// lockDead locks the home dir if its process is dead. One without a lock file
// is being removed, or its making was interrupted: it is empty.
func lockDead(dir string) (*deadHome, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(dir) // refused if it is not empty
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reclaiming %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("reclaiming %s: %w", dir, err)
	}
	self, err := identity(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reclaiming %s: %w", dir, err)
	}
	written, _ := io.ReadAll(io.LimitReader(f, 64))
	return &deadHome{dir: dir, lock: f, copied: string(written) != self}, nil
}

// reclaim removes a dead home and what belongs to it.
func (h *deadHome) reclaim(groups *cgroup.Tree, sum *Reclaimed) error {
	defer h.lock.Close()
	sum.Homes++
	killed, err := killLeftovers(h.dir)
	sum.Processes += killed
	if err != nil {
		return err
	}
	if !h.copied {
		n, err := reclaimGroups(filepath.Base(h.dir), groups)
		sum.Groups += n
		if err != nil {
			return err
		}
	}
	n, err := unmountBelow(h.dir)
	sum.Mounts += n
	if err != nil {
		return err
	}
	return removeHome(h.dir)
}

// killLeftovers ends the sandboxes of a dead process that have outlived it. The
// kernel ends a sandbox with the process that started it, save for an instant
// in which the sandbox is changing its user; such a one is found by the bundle
// directory in its command line.
func killLeftovers(home string) (int, error) {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("looking for leftover sandboxes: %w", err)
	}
	killed := 0
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || !isSandboxOf(pid, home) {
			continue
		}
		if killAndWait(pid, home) {
			killed++
		}
	}
	return killed, nil
}

func isSandboxOf(pid int, home string) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := bytes.Split(cmdline, []byte{0})
	if string(args[0]) != "runsc-sandbox" {
		return false
	}
	for _, arg := range args {
		if strings.HasPrefix(string(arg), "--bundle="+home+"/") {
			return true
		}
	}
	return false
}

// killAndWait kills a sandbox of a home, which is not our child, and waits until
// it is gone.
func killAndWait(pid int, home string) bool {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pidfd)
	// It may have ended meanwhile and its number be another's; what the
	// descriptor stands for is settled.
	if !isSandboxOf(pid, home) || unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) != nil {
		return false
	}
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		// The runtime's signals interrupt it.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
	return false
}

// reclaimGroups removes the cgroups of a dead process.
func reclaimGroups(home string, groups *cgroup.Tree) (int, error) {
	if groups == nil {
		return 0, nil
	}
	names, err := groups.Groups(home + ".")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		g := groups.Open(name)
		if err := errors.Join(g.Kill(), g.Remove()); err != nil {
			return 0, err
		}
	}
	return len(names), nil
}

// unmountBelow detaches what is mounted below dir. We mount nothing there; an
// engine may pin a namespace.
func unmountBelow(dir string) (int, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, fmt.Errorf("reading the mount table: %w", err)
	}
	lines := slices.Collect(strings.Lines(string(table)))
	n := 0
	// The last mount first: it may lie in, or over, one before it.
	for _, line := range slices.Backward(lines) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescape(fields[4])
		if !strings.HasPrefix(point, dir+"/") {
			continue
		}
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			return n, fmt.Errorf("unmounting %s: %w", point, err)
		}
		n++
	}
	return n, nil
}

// unescape reads a path of the mount table, where the kernel writes space, tab,
// line feed and backslash in octal.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
