package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine/cgroup"
)

// Reclaimed counts what a dead process had left.
type Reclaimed struct {
	Homes, Processes, Mounts, Groups int
}

// Reclaim removes all that processes which died have left below dataDir:
// their sandboxes' processes, mounts, cgroups and files. What belongs to a
// living process is locked by it and stays. groups may be nil.
func Reclaim(dataDir string, groups *cgroup.Tree) (Reclaimed, error) {
	var sum Reclaimed
	run := filepath.Join(dataDir, runDir)
	all, err := lock(filepath.Join(run, lockFile), syscall.LOCK_EX)
	if errors.Is(err, os.ErrNotExist) {
		return sum, nil
	}
	if err != nil {
		return sum, unwritable(dataDir, err)
	}
	defer all.Close()
	entries, err := os.ReadDir(run)
	if err != nil {
		return sum, unwritable(dataDir, err)
	}
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		errs = append(errs, reclaimHome(filepath.Join(run, entry.Name()), groups, &sum))
	}
	return sum, errors.Join(errs...)
}

// reclaimHome removes one home, unless its process lives.
func reclaimHome(dir string, groups *cgroup.Tree, sum *Reclaimed) error {
	held, err := lock(filepath.Join(dir, lockFile), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reclaiming %s: %w", dir, err)
	}
	defer held.Close()
	sum.Homes++
	killed, err := killLeftovers(dir)
	sum.Processes += killed
	if err != nil {
		return err
	}
	n, err := reclaimGroups(filepath.Base(dir), groups)
	sum.Groups += n
	if err != nil {
		return err
	}
	n, err = unmountBelow(dir)
	sum.Mounts += n
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("reclaiming %s: %w", dir, err)
	}
	return nil
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
		if killAndWait(pid) == nil {
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

// killAndWait kills a process that is not our child and waits until it is gone.
func killAndWait(pid int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	const patience = 5000 // ms
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, patience)
	return err
}

// reclaimGroups removes the cgroups of a dead process, the sandboxes' first.
func reclaimGroups(home string, groups *cgroup.Tree) (int, error) {
	if groups == nil {
		return 0, nil
	}
	names, err := groups.Children(home)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		g := groups.Open(home + "/" + name)
		if err := errors.Join(g.Kill(), g.Remove()); err != nil {
			return 0, err
		}
	}
	return len(names), groups.Open(home).Remove()
}

// unmountBelow detaches what is mounted below dir. We mount nothing there; an
// engine may pin a namespace.
func unmountBelow(dir string) (int, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, fmt.Errorf("reading the mount table: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasPrefix(fields[4], dir+"/") {
			continue
		}
		if err := unix.Unmount(fields[4], unix.MNT_DETACH); err != nil {
			return n, fmt.Errorf("unmounting %s: %w", fields[4], err)
		}
		n++
	}
	return n, nil
}
