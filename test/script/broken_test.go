package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/takotest"
)

// tryTako runs a small job with a data directory and returns what tako says.
func tryTako(t *testing.T, b *bench, data string, env ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.binary, "run", "-q", "-c", "print('fine')")
	cmd.Env = append([]string{"TAKO_VM_DATA_DIR=" + data, "HOME=" + b.work}, env...)
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// wantRefusal: exit code 125 and one line that has every word.
func wantRefusal(t *testing.T, out string, code int, words ...string) {
	t.Helper()
	if code != 125 || strings.Count(out, "\n") != 1 {
		t.Errorf("exit code %d and\n%s", code, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("%q does not say %q", out, w)
		}
	}
}

// A corrupt image is found, built again, and never used.
func TestCorruptEnvironment(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	images, err := filepath.Glob(filepath.Join(b.root, "cache", "environments", "*.erofs"))
	must(t, err)
	for _, image := range images {
		f, err := os.OpenFile(image, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("rubbish"), 1024) // the superblock
		must(t, err)
		must(t, f.Close())
	}
	if out, code := tryTako(t, b, b.root); code != 0 || out != "fine\n" {
		t.Errorf("with corrupt images: exit code %d and\n%s", code, out)
	}
}

// A data directory that is full or read-only is refused by name, and nothing
// stays in it.
func TestDataDirectoryFullOrReadOnly(t *testing.T) {
	takotest.RequireRoot(t)
	b := newBench(t)
	data := filepath.Join(b.work, "small")
	must(t, os.Mkdir(data, 0o700))
	must(t, unix.Mount("tmpfs", data, "tmpfs", 0, "size=8m,mode=0700"))
	defer func() { must(t, unix.Unmount(data, unix.MNT_DETACH)) }()
	out, code := tryTako(t, b, data)
	wantRefusal(t, out, code, "small", "space")
	if left := leftovers(data); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	must(t, unix.Mount("", data, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	out, code = tryTako(t, b, data)
	wantRefusal(t, out, code, "small", "read-only")
}

// A home that cannot be written is no obstacle when the data directory is
// elsewhere, and a clear refusal when it is not.
func TestReadOnlyHome(t *testing.T) {
	takotest.RequireRoot(t)
	b := newBench(t)
	b.pack(t)
	home := filepath.Join(b.work, "home")
	must(t, os.Mkdir(home, 0o755))
	must(t, unix.Mount("tmpfs", home, "tmpfs", unix.MS_RDONLY, "size=1m"))
	defer func() { must(t, unix.Unmount(home, unix.MNT_DETACH)) }()
	if out, code := tryTako(t, b, b.root, "HOME="+home); code != 0 {
		t.Errorf("with a data directory elsewhere: exit code %d and\n%s", code, out)
	}
	out, code := tryTako(t, b, "", "HOME="+home)
	wantRefusal(t, out, code, home, "read-only", "TAKO_VM_DATA_DIR")
}

// Where gVisor cannot start, tako says what the host lacks.
func TestNoUserNamespaces(t *testing.T) {
	takotest.RequireRoot(t)
	b := newBench(t)
	b.pack(t)
	// An ordinary user in a user namespace whose own limit of them is none.
	script := "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\""
	cmd := exec.CommandContext(t.Context(), "unshare", "--user", "--map-user=1234", "--keep-caps", "sh", "-c", script,
		b.binary, "run", "-q", "-c", "print('fine')")
	cmd.Env = []string{"TAKO_VM_DATA_DIR=" + filepath.Join(b.work, "none"), "HOME=" + b.work, "PATH=/usr/bin:/bin",
		"TAKO_VM_SECURITY_MODE=permissive"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	wantRefusal(t, string(out), cmd.ProcessState.ExitCode(), "needs a user namespace", "sysctl -w user.max_user_namespaces")
}
