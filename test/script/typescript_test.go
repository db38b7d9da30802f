package script

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/takotest"
)

// The TypeScript package: it is compiled, and its own tests make every call
// against a server.
func TestTypeScript(t *testing.T) {
	sdk := filepath.Join(takotest.Root(t), "sdk", "typescript")
	buildTypeScript(t, sdk)
	npm := npmIn(t, sdk)
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	out := npm(s.url, "test")
	if !regexp.MustCompile(`(?m)^\S+ skipped 0$`).MatchString(out) {
		t.Errorf("tests were skipped, or there were none:\n%s", out)
	}
	s.stop()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// npmIn makes a function that runs npm in a folder, beside the server at url. It
// skips the test where npm, its registry or a Node that is new enough is missing.
func npmIn(t *testing.T, dir string) func(url string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	const old = "const [major, minor] = process.versions.node.split('.').map(Number); process.exit(major < 20 || major === 20 && minor < 3 ? 1 : 0)"
	if err := exec.CommandContext(t.Context(), "node", "-e", old).Run(); err != nil {
		t.Skipf("the client needs Node 20.3 or newer, as Debian 13 has it: %v", err)
	}
	away := regexp.MustCompile(`\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b`)
	return func(url string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "npm", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TAKO_TEST_URL="+url)
		out, err := cmd.CombinedOutput()
		if err != nil && url == "" && away.Match(out) {
			t.Skipf("the npm registry cannot be reached: %s", away.Find(out))
		}
		if err != nil {
			t.Errorf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if err != nil && url == "" {
			t.FailNow() // else there is a server, which is to be stopped in order
		}
		return string(out)
	}
}
