package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// typescript compiles the client and the example, which then finds the client as
// any package does: in node_modules beside it.
func (p *program) typescript() *exec.Cmd {
	sdk := filepath.Join(p.root, "sdk", "typescript")
	p.npm(sdk, "ci", "--prefer-offline", "--no-audit", "--no-fund")
	p.npm(sdk, "run", "build")
	built := p.t.TempDir()
	must(p.t, os.Mkdir(filepath.Join(built, "node_modules"), 0o755))
	must(p.t, os.Symlink(sdk, filepath.Join(built, "node_modules", "tako-vm")))
	must(p.t, os.Symlink(filepath.Join(sdk, "node_modules", "@types"), filepath.Join(built, "node_modules", "@types")))
	source, err := os.ReadFile(p.file)
	must(p.t, err)
	name := filepath.Base(p.file)
	for file, content := range map[string]string{
		name:            string(source),
		"package.json":  `{"type": "module"}`,
		"tsconfig.json": fmt.Sprintf(`{"extends": %q, "compilerOptions": {"rootDir": ".", "outDir": "."}, "include": [], "files": [%q]}`, filepath.Join(sdk, "tsconfig.json"), name),
	} {
		must(p.t, os.WriteFile(filepath.Join(built, file), []byte(content), 0o644))
	}
	tsc := exec.CommandContext(p.t.Context(), filepath.Join(sdk, "node_modules", ".bin", "tsc"), "-p", built)
	if out, err := tsc.CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	return p.command("node", filepath.Join(built, name[:len(name)-len("ts")]+"js"))
}

// npm runs npm in a folder, and skips the test where npm or its registry is
// missing.
func (p *program) npm(dir string, args ...string) {
	p.t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		p.t.Skip("npm is not installed")
	}
	cmd := exec.CommandContext(p.t.Context(), "npm", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if away := regexp.MustCompile(`\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b`); err != nil && away.Match(out) {
		p.t.Skipf("the npm registry cannot be reached: %s", away.Find(out))
	}
	if err != nil {
		p.t.Fatalf("npm %v: %v\n%s", args, err, out)
	}
}
