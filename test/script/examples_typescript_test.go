package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func (p *program) typescript() *exec.Cmd {
	source, err := os.ReadFile(p.file)
	must(p.t, err)
	return p.command("node", compiled(p.t, p.root, string(source)))
}

// compiled compiles the client and a program in TypeScript, which finds the client
// as any package does: in node_modules beside it. It answers what node runs.
func compiled(t *testing.T, root, source string) string {
	t.Helper()
	sdk := filepath.Join(root, "sdk", "typescript")
	buildTypeScript(t, sdk)
	built := t.TempDir()
	must(t, os.Mkdir(filepath.Join(built, "node_modules"), 0o755))
	must(t, os.Symlink(sdk, filepath.Join(built, "node_modules", "tako-vm")))
	must(t, os.Symlink(filepath.Join(sdk, "node_modules", "@types"), filepath.Join(built, "node_modules", "@types")))
	const config = `{"extends": %q, "compilerOptions": {"rootDir": ".", "outDir": "."}, "include": [], "files": ["main.ts"]}`
	for file, content := range map[string]string{
		"main.ts":       source,
		"package.json":  `{"type": "module"}`,
		"tsconfig.json": fmt.Sprintf(config, filepath.Join(sdk, "tsconfig.json")),
	} {
		must(t, os.WriteFile(filepath.Join(built, file), []byte(content), 0o644))
	}
	tsc := exec.CommandContext(t.Context(), filepath.Join(sdk, "node_modules", ".bin", "tsc"), "-p", built)
	if out, err := tsc.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(built, "main.js")
}

// buildTypeScript installs and compiles the client, once for all tests.
func buildTypeScript(t *testing.T, sdk string) {
	t.Helper()
	npm := npmIn(t, sdk)
	done := filepath.Join(os.Getenv(baseVariable), "typescript-is-built")
	if _, err := os.Stat(done); err == nil {
		return
	}
	npm("", "ci", "--prefer-offline", "--no-audit", "--no-fund")
	npm("", "run", "build")
	must(t, os.WriteFile(done, nil, 0o600))
}
