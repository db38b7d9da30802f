package script

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// shell runs a command line with tako on its PATH and returns what it printed
// and its exit code.
func (b *bench) shell(t *testing.T, command string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
	cmd.Dir = b.work
	cmd.Env = []string{"PATH=" + filepath.Dir(b.binary) + ":/usr/bin:/bin", "HOME=" + b.work, "TAKO_VM_DATA_DIR=" + b.root}
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// The environment of a process is no reason to fail, and never a way around.
func TestHostileSurroundings(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	for name, tt := range map[string]struct {
		command, want string
		code          int
	}{
		"a strict umask":            {`umask 077; tako run -c 'print(1)'`, "1\n", 0},
		"closed descriptors":        {`tako run -q -c 'print(1)' <&- >&-`, "", 0},
		"stderr by name":            {`tako run -- bash -c 'echo hi > /dev/stderr'`, "hi\n", 0},
		"a full standard output":    {`tako run -c 'print(1)' > /dev/full`, "tako: writing standard output: write /dev/stdout: no space left on device\n", 125},
		"an unreadable input":       {`tako run --stdin /proc/self/mem -c 'import sys; sys.stdin.read()'`, "tako: reading standard input: read /proc/self/mem: input/output error\n", 125},
		"a FIFO as script":          {`mkfifo f1; tako run f1`, "tako: f1 is a FIFO; name a file, or give - with standard input from it\n", 2},
		"a FIFO of the shell":       {`tako run <(echo 'print(2)')`, "2\n", 0},
		"a sparse file of exabytes": {`truncate -s 8T big; tako run --file big:x --file big:y -c 1`, "fit into the memory limit", 2},
		"a file below a file":       {`echo > s; tako run --file s:a --file s:a/b -c 1`, "tako: input file \"a/b\" cannot be below the file \"a\"\n", 2},
		"zero is not the default":   {`tako run --cpus 0 -c 1`, "tako: cpus is 0: it must be between 0.1 and 16\n", 2},
		"empty is not the default":  {`tako run --memory '' -c 1`, "tako: --memory: ", 2},
		"both streams in one pipe": {`for i in 1 2 3; do tako run -c 'import os
while True: os.write(1, b"x"); os.write(2, b"y")' 2>&1 | head -c 1; done`, "", 0},
		"a signal that is ignored":    {`(trap '' HUP; tako run -c 'import time; print("up", flush=True); time.sleep(1); print("done")') > out & until grep -q up out 2> /dev/null; do :; done; kill -HUP $!; wait $!; cat out`, "up\ndone\n", 0},
		"a doctor without a good dir": {`TAKO_VM_DATA_DIR=/proc/nope tako doctor | grep 'data directory'; TAKO_VM_DATA_DIR=/proc/nope tako doctor > /dev/null`, "NO  data directory", 1},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := b.shell(t, tt.command)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("%s\nexit code %d, want %d, and\n%s\nwant\n%s", tt.command, code, tt.code, out, tt.want)
			}
		})
	}
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Standard streams keep their owners: gVisor changes those of what it is given.
func TestStreamsKeepTheirOwner(t *testing.T) {
	takotest.RequireRoot(t)
	b := newBench(t)
	b.pack(t)
	owner := func(path string) string {
		info, err := os.Stat(path)
		must(t, err)
		return fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid, info.Mode())
	}
	null := owner(os.DevNull)
	if out, code := b.shell(t, `echo data > in; tako run --stdin - -- cat < in > out 2> /dev/null; tako run -c 1 < /dev/null > /dev/null`); code != 0 {
		t.Fatalf("exit code %d and %s", code, out)
	}
	for path, want := range map[string]string{
		os.DevNull: null, filepath.Join(b.work, "in"): "0 -rw-r--r--", filepath.Join(b.work, "out"): "0 -rw-r--r--",
	} {
		if got := owner(path); got != want {
			t.Errorf("%s is %s, was %s", path, got, want)
		}
	}
}

// Only homes of our own are reclaimed: whatever else lies in run/ stays.
func TestReclaimTouchesNothingElse(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	data := filepath.Join(b.work, "data")
	run := filepath.Join(data, "run")
	outside := filepath.Join(b.work, "outside")
	for _, dir := range []string{filepath.Join(run, "project", "src"), filepath.Join(run, "12-notahome"), outside} {
		must(t, os.MkdirAll(dir, 0o700))
	}
	precious := filepath.Join(run, "project", "src", "file")
	must(t, os.WriteFile(precious, []byte("precious"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(run, "99999999-0123abcd")))
	must(t, os.Mkdir(filepath.Join(run, "99999998-0123abcd"), 0o700))
	must(t, os.Symlink(filepath.Join(outside, "planted"), filepath.Join(run, "99999998-0123abcd", "lock")))
	must(t, os.Symlink(filepath.Join(b.root, "cache"), filepath.Join(data, "cache")))
	if out, code := b.shell(t, "TAKO_VM_DATA_DIR="+data+" tako run -c 'print(1)'"); code != 0 || !strings.Contains(out, "1\n") {
		t.Errorf("exit code %d and %s", code, out)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("a file that is not ours: %v", err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside the data directory: %v, %v", entries, err)
	}
}

// A data directory that others may write, or that is another's, is refused.
func TestForeignDataDirectory(t *testing.T) {
	takotest.RequireRoot(t)
	b := newBench(t)
	open := filepath.Join(b.work, "open")
	must(t, os.Mkdir(open, 0o700))
	must(t, os.Chmod(open, 0o777))
	foreign := filepath.Join(b.work, "foreign")
	must(t, os.Mkdir(foreign, 0o700))
	must(t, os.Chown(foreign, ordinaryUser, ordinaryUser))
	config := filepath.Join(b.work, "tako_vm.yaml")
	must(t, os.WriteFile(config, []byte("security_mode: permissive\n"), 0o644))
	must(t, os.Chown(config, ordinaryUser, ordinaryUser))
	out, code := b.shell(t, "tako run -c 1")
	wantRefusal(t, out, code, config, "belongs to another user")
	must(t, os.Remove(config))
	out, code = tryTako(t, b, open)
	wantRefusal(t, out, code, open, "chmod go-w")
	out, code = tryTako(t, b, foreign)
	wantRefusal(t, out, code, foreign, "belongs to another user")
}

// A copy of a data directory does not stand for the processes of the original.
func TestCopiedDataDirectory(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	alive, errOut := startTako(t, b)
	command := fmt.Sprintf("cp -r %s/run copy && mkdir -p data && mv copy data/run && chmod 700 data && ln -s %s/cache data/cache && TAKO_VM_DATA_DIR=$PWD/data tako run -c 'print(1)'", b.root, b.root)
	if out, code := b.shell(t, command); code != 0 || out != "1\n" {
		t.Errorf("beside the copy: exit code %d and %s", code, out)
	}
	must(t, alive.Process.Signal(syscall.SIGINT))
	if err := alive.Wait(); err == nil || alive.ProcessState.ExitCode() != 130 {
		t.Errorf("the original's tako ended with %v: %s", err, errOut)
	}
}

// Many takos start and end at once without noticing each other.
func TestConcurrentRuns(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if out, code := tryTako(t, b, b.root); code != 0 || out != "fine\n" {
					t.Errorf("exit code %d and %s", code, out)
				}
			}
		})
	}
	wg.Wait()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What a program puts into result.json goes through as it is, and costs no more
// than it is long.
func TestHostileResult(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	for name, code := range map[string]string{
		"deep":      `open("/output/result.json", "w").write("[" * 9000 + "]" * 9000)`,
		"not UTF-8": `open("/output/result.json", "wb").write(b'"\xff\xfe"')`,
		"NaN":       `open("/output/result.json", "w").write("NaN")`,
		"a number":  `open("/output/result.json", "w").write("1e400")`,
	} {
		t.Run(name, func(t *testing.T) {
			out, exit := b.shell(t, "tako run --json -c '"+strings.ReplaceAll(code, "'", `'"'"'`)+"'")
			if exit != 0 || !json.Valid([]byte(out)) || len(out) > 64<<10 {
				t.Errorf("exit code %d and %d bytes, JSON: %t", exit, len(out), json.Valid([]byte(out)))
			}
		})
	}
}

// An image that is corrupt where nobody looks at first is found when it fails,
// and made again.
func TestImageCorruptInTheMiddle(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	images, err := filepath.Glob(filepath.Join(b.root, "cache", "environments", "*.erofs"))
	must(t, err)
	for _, image := range images {
		info, err := os.Stat(image)
		must(t, err)
		if info.Size() < 8<<20 {
			continue // init's
		}
		f, err := os.OpenFile(image, os.O_WRONLY, 0)
		must(t, err)
		zeros := make([]byte, info.Size()-256<<10)
		_, err = f.WriteAt(zeros, 128<<10)
		must(t, err)
		must(t, f.Close())
	}
	out, code := tryTako(t, b, b.root)
	if code != 0 || !strings.HasSuffix(out, "fine\n") {
		t.Errorf("exit code %d and %s", code, out)
	}
}
