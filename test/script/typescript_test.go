package script

import (
	"context"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// TestTypeScript compiles the TypeScript client and runs its tests.
func TestTypeScript(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	npm := func(args ...string) ([]byte, error) {
		c := exec.CommandContext(ctx, "npm", args...)
		c.Dir = "../../sdk/typescript"
		return c.CombinedOutput()
	}
	out, err := npm("ci", "--prefer-offline", "--no-audit", "--no-fund")
	if away := regexp.MustCompile(`\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b`); err != nil && away.Match(out) {
		t.Skipf("the npm registry cannot be reached: %s", away.Find(out))
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := npm("test"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
