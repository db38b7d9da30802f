package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// typescript compiles the client and the example, which then finds the client as
// any package does: in node_modules beside it.
func (p *program) typescript() *exec.Cmd {
	sdk := filepath.Join(p.root, "sdk", "typescript")
	npm := npmIn(p.t, sdk)
	npm("", "ci", "--prefer-offline", "--no-audit", "--no-fund")
	npm("", "run", "build")
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
