package environment

import (
	"os"
	"path/filepath"
	"testing"
)

// A copy, for file systems between which there are no links.
func TestTakeCopies(t *testing.T) {
	t.Parallel()
	c, err := openCache(t.TempDir(), treeEntry)
	if err != nil {
		t.Fatal(err)
	}
	const elsewhere = "/dev/shm"
	from, err := os.CreateTemp(elsewhere, "tako-adopt-")
	if err != nil {
		t.Skipf("needs %s: %v", elsewhere, err)
	}
	defer os.Remove(from.Name())
	if _, err := from.WriteString("content"); err != nil || from.Close() != nil {
		t.Fatal(err)
	}
	to := filepath.Join(c.dir, "x.erofs")
	if err := os.WriteFile(to, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.take(from.Name(), to); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if left, _ := filepath.Glob(filepath.Join(c.dir, "*.tmp")); err != nil || string(got) != "content" || len(left) > 0 {
		t.Errorf("%q, %v; left %v", got, err, left)
	}
	if err := c.take(filepath.Join(elsewhere, "tako-none"), to); err == nil {
		t.Error("a file that is not there was taken")
	}
}
