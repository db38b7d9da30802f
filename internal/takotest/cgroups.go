package takotest

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"testing"

	"github.com/takovm/tako/internal/engine/cgroup"
)

// Cgroups is where tests bound sandboxes; nil for an ordinary user.
func Cgroups(tb testing.TB) *cgroup.Tree {
	tb.Helper()
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		tb.Fatal(err)
	}
	tree := cgroup.Detect("/sys/fs/cgroup", string(self))
	if tree != nil {
		tb.Cleanup(func() {
			if err := tree.Close(); err != nil {
				tb.Errorf("closing the cgroup tree: %v", err)
			}
		})
	}
	return tree
}

// Group is a name for one engine's cgroup.
func Group(tb testing.TB) string {
	tb.Helper()
	b := make([]byte, 6)
	if _, err := rand.Read(b); err != nil {
		tb.Fatal(err)
	}
	return "test-" + hex.EncodeToString(b)
}
