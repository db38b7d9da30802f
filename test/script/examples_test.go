package script

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/takotest"
)

// program is a file of examples/LANGUAGE, run in an empty directory beside a
// server. What it prints is in the file of the same name that ends in .txt.
type program struct {
	t          *testing.T
	file       string // absolute
	bench      *bench
	dir, url   string
	root, home string // of the module, and of the program
}

// runners make the command that runs an example, by its folder and extension.
func runners() map[string]func(p *program) *exec.Cmd {
	return map[string]func(p *program) *exec.Cmd{
		"python/.py":     (*program).python,
		"typescript/.ts": (*program).typescript,
		"go/.go":         (*program).golang,
		"shell/.sh":      (*program).shell,
	}
}

// Every example prints what it says it prints. The files of examples are
// programs, or belong to one: NAME.txt and other files that are named as it is.
func TestExamples(t *testing.T) {
	all := exampleFiles(t)
	root := takotest.Root(t)
	about, err := os.ReadFile(filepath.Join(root, "examples", "README.md"))
	must(t, err)
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	run := runners()
	for _, name := range all {
		runner := run[path.Dir(name)+"/"+path.Ext(name)]
		if runner == nil {
			continue
		}
		stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
		if !strings.Contains(string(about), "`"+stem+"`") {
			t.Errorf("examples/README.md has no row for %s", name)
		}
		t.Run(name, func(t *testing.T) {
			p := &program{t: t, file: filepath.Join(root, "examples", name), bench: b, dir: t.TempDir(), url: s.url, root: root, home: b.work}
			p.expect(runner(p))
		})
	}
	s.stop()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// expect runs a command and holds its output against the file beside the
// program.
func (p *program) expect(cmd *exec.Cmd) {
	p.t.Helper()
	want, err := os.ReadFile(strings.TrimSuffix(p.file, filepath.Ext(p.file)) + ".txt")
	must(p.t, err)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || !pattern(string(want)).MatchString(ended(string(out))) {
		p.t.Errorf("%v; it printed\n%s\nwant\n%s\nand on standard error\n%s", err, out, want, said.String())
	}
}

// command is one that sees the server, the tako command and nothing of the
// tester's own.
func (p *program) command(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	p.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = p.dir
	cmd.Env = []string{
		"PATH=" + filepath.Dir(p.bench.binary) + ":/usr/bin:/bin", "HOME=" + p.home, "XDG_CACHE_HOME=" + p.home, "LANG=C.UTF-8",
		"TAKO_URL=" + p.url, "TAKO_VM_DATA_DIR=" + p.bench.root,
		"PYTHONPATH=" + filepath.Join(p.root, "sdk", "python"), "PYTHONDONTWRITEBYTECODE=1",
	}
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	return cmd
}

func (p *program) python() *exec.Cmd {
	if err := exec.CommandContext(p.t.Context(), "/usr/bin/python3", "-c", "import httpx").Run(); err != nil {
		p.t.Skip("needs httpx: scripts/setup.sh httpx")
	}
	return p.command("/usr/bin/python3", p.file)
}

func (p *program) shell() *exec.Cmd {
	if _, err := exec.LookPath("curl"); err != nil {
		p.t.Skip("needs curl: scripts/setup.sh curl")
	}
	return p.command("bash", p.file)
}

func (p *program) golang() *exec.Cmd {
	binary, err := buildGo(p.t, p.file)
	must(p.t, err)
	return p.command(binary)
}

// buildGo builds a program of one file, as one of this module: with the flags of
// the Makefile, so that gVisor is compiled once for all.
func buildGo(t *testing.T, file string) (string, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, file)
	build.Dir = takotest.Root(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", filepath.Base(file), err, out)
	}
	return binary, nil
}

// exampleFiles lists the files below examples, and refuses those that nobody
// runs and that belong to no program.
func exampleFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	dir := os.DirFS(filepath.Join(takotest.Root(t), "examples"))
	must(t, fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, name)
		}
		return err
	}))
	for _, problem := range strays(all) {
		t.Error(problem)
	}
	return all
}

// strays says what is wrong with a list of files below examples.
func strays(all []string) (problems []string) {
	run := runners()
	programs, there := map[string]bool{}, map[string]bool{}
	for _, name := range all {
		there[name] = true
		if run[path.Dir(name)+"/"+path.Ext(name)] != nil {
			programs[strings.TrimSuffix(name, path.Ext(name))] = true
		}
	}
	for stem := range programs {
		if !there[stem+".txt"] {
			problems = append(problems, "examples/"+stem+".txt is missing: it has what the program prints")
		}
	}
	for _, name := range all {
		stem, _, _ := strings.Cut(path.Base(name), ".")
		if path.Base(name) != "README.md" && !programs[path.Join(path.Dir(name), stem)] {
			problems = append(problems, "examples/"+name+" belongs to no program that is run")
		}
	}
	return problems
}

func TestStrays(t *testing.T) {
	for name, tc := range map[string]struct {
		files []string
		want  string
	}{
		"all is well":                      {[]string{"README.md", "go/a.go", "go/a.txt", "go/a.data.json"}, ""},
		"a program of no known language":   {[]string{"perl/a.pl"}, "examples/perl/a.pl belongs to no program"},
		"a program in a folder of another": {[]string{"go/a.py"}, "examples/go/a.py belongs to no program"},
		"output of nothing":                {[]string{"go/a.txt"}, "examples/go/a.txt belongs to no program"},
		"no output":                        {[]string{"go/a.go"}, "examples/go/a.txt is missing"},
		"a program further down":           {[]string{"go/more/a.go"}, "examples/go/more/a.go belongs to no program"},
	} {
		if got := strings.Join(strays(tc.files), "; "); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
