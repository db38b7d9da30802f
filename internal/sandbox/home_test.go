package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/takotest"
)

func newHome(t *testing.T, dir string) *Home {
	t.Helper()
	h, err := NewHome(t.Context(), dir)
	must(t, err)
	return h
}

func TestHome(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	h := newHome(t, dir)
	info, err := os.Stat(h.Dir)
	must(t, err)
	if !homeName().MatchString(h.ID) || h.Dir != filepath.Join(dir, "run", h.ID) || info.Mode().Perm() != 0o700 {
		t.Errorf("%+v, mode %v", h, info.Mode())
	}
	other := newHome(t, dir)
	if other.ID == h.ID {
		t.Error("two homes have one name")
	}
	must(t, os.MkdirAll(filepath.Join(h.Dir, "engine", "state"), 0o700))
	must(t, os.WriteFile(filepath.Join(h.Dir, "engine", "file"), nil, 0o400))
	must(t, h.Close())
	if exists(h.Dir) || !exists(other.Dir) {
		t.Error("closing has not removed the home, or another one")
	}
	must(t, other.Close())
	if left := homes(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// Somebody may have removed it all by hand.
func TestHomeRemovedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	h := newHome(t, dir)
	must(t, os.RemoveAll(filepath.Join(dir, "run")))
	must(t, h.Close())
}

// Each directory that cannot be used is refused with one line and a mend.
func TestNewHomeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		root bool // to be tried as root; else as an ordinary user
		make func(t *testing.T, dir string)
		part string
	}{
		"a file in its place":   {true, func(t *testing.T, dir string) { must(t, os.WriteFile(dir, nil, 0o600)) }, "cannot be used"},
		"a file in run's place": {true, func(t *testing.T, dir string) { mkdir(t, dir); must(t, os.WriteFile(dir+"/run", nil, 0o600)) }, "cannot be used"},
		"a link in run's place": {true, func(t *testing.T, dir string) { mkdir(t, dir); must(t, os.Symlink(t.TempDir(), dir+"/run")) }, "not a directory"},
		"a dangling link":       {true, func(t *testing.T, dir string) { must(t, os.Symlink(dir+"-none/x/y", dir)) }, "cannot be used"},
		"a directory as lock":   {true, func(t *testing.T, dir string) { mkdir(t, dir+"/run/lock") }, "cannot be used"},
		"a link as lock": {true, func(t *testing.T, dir string) {
			mkdir(t, dir+"/run")
			must(t, os.Symlink("/etc/passwd", dir+"/run/lock"))
		}, "cannot be used"},
		"writable for others":       {true, func(t *testing.T, dir string) { mkdir(t, dir); must(t, os.Chmod(dir, 0o777)) }, "can be written by others"},
		"run writable for others":   {true, func(t *testing.T, dir string) { mkdir(t, dir+"/run"); must(t, os.Chmod(dir+"/run", 0o770)) }, "can be written by others"},
		"another user's":            {true, func(t *testing.T, dir string) { mkdir(t, dir); must(t, os.Chown(dir, 1000, 1000)) }, "belongs to another user"},
		"run is another user's":     {true, func(t *testing.T, dir string) { mkdir(t, dir+"/run"); must(t, os.Chown(dir+"/run", 1000, 1000)) }, "belongs to another user"},
		"not writable":              {false, func(t *testing.T, dir string) { must(t, os.Mkdir(dir, 0o555)) }, "cannot be used"},
		"full":                      {true, func(t *testing.T, dir string) { small(t, dir, "size=4k"); fill(t, dir) }, "no space left"},
		"full, of files":            {true, func(t *testing.T, dir string) { small(t, dir, "size=64k,nr_inodes=2") }, "no space left"},
		"full, but for a directory": {true, func(t *testing.T, dir string) { small(t, dir, "size=64k,nr_inodes=4") }, "no space left"},
		"read only":                 {true, func(t *testing.T, dir string) { small(t, dir, "size=64k"); readOnly(t, dir) }, "read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.root != (os.Geteuid() == 0) {
				t.Skip("for the other kind of user")
			}
			dir := filepath.Join(t.TempDir(), "data")
			tc.make(t, dir)
			h, err := NewHome(t.Context(), dir)
			if err == nil {
				h.Close()
				t.Fatal("it is taken")
			}
			var e *job.Error
			if !errors.As(err, &e) || e.Kind != job.KindUnavailable || e.Hint == "" || !strings.Contains(e.Msg, tc.part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %q (%#v)", err, e)
			}
			if errors.Is(err, syscall.ENOSPC) && !strings.Contains(e.Hint, "free some space") {
				t.Errorf("the hint is %q", e.Hint)
			}
			if entries, err := os.ReadDir(filepath.Join(dir, "run")); err == nil {
				for _, entry := range entries {
					if homeName().MatchString(entry.Name()) {
						t.Errorf("left: %s", entry.Name())
					}
				}
			}
		})
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
}

// small mounts a file system at dir.
func small(t *testing.T, dir, options string) {
	t.Helper()
	takotest.RequireRoot(t)
	mkdir(t, dir)
	must(t, unix.Mount("tako-test", dir, "tmpfs", 0, options+",mode=700"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

func fill(t *testing.T, dir string) {
	t.Helper()
	err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the file system: %v", err)
	}
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
}

// A process that hangs with the lock of run/ is named, and a caller who does
// not want to wait does not have to.
func TestNewHomeLocked(t *testing.T) {
	dir := t.TempDir()
	must(t, newHome(t, dir).Close())
	held, err := lockAll(t.Context(), filepath.Join(dir, "run"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewHome(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := Reclaim(ctx, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	must(t, held.Close())
	must(t, newHome(t, dir).Close())
}

// Many processes come and go in one directory and nobody takes another's home.
func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	const several = 8
	live := newHome(t, dir)
	actors := make([]*actor, several)
	for i := range actors {
		actors[i] = start(t, "churn", dir)
	}
	var wg sync.WaitGroup
	for _, a := range actors {
		wg.Go(func() {
			if err := a.cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, &a.errOut)
			}
		})
	}
	wg.Wait()
	if left := homes(t, dir); len(left) != 1 || left[0] != live.ID {
		t.Errorf("left: %q", left)
	}
	must(t, live.Close())
}
