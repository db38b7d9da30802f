package initbin_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/takovm/tako/internal/guest/initbin"
)

// The committed init is what its source builds to: nobody can slip in another
// one, and nobody forgets to build it again.
func TestReproducible(t *testing.T) {
	want := toolchain(t)
	if runtime.Version() != want {
		t.Skipf("this is %s and the init is built by %s: other bytes are no surprise", runtime.Version(), want)
	}
	out := filepath.Join(t.TempDir(), "init")
	if text, err := exec.Command("go", "run", "./initgen", "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("initgen: %v\n%s", err, text)
	}
	built, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, initbin.Binary()) {
		t.Errorf("the committed init (%d bytes) is not what ../init builds to (%d bytes): run go generate ./internal/guest/initbin",
			len(initbin.Binary()), len(built))
	}
}

func TestDigest(t *testing.T) {
	sum := sha256.Sum256(initbin.Binary())
	if want := hex.EncodeToString(sum[:]); initbin.Digest() != want {
		t.Errorf("Digest() = %s, want %s", initbin.Digest(), want)
	}
}

// toolchain is the one that go.mod names.
func toolchain(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^toolchain (go\S+)$`).FindSubmatch(mod)
	if m == nil {
		t.Fatal("go.mod has no toolchain line")
	}
	return string(m[1])
}
