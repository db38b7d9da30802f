package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// example is one command of the README and what it prints there.
type example struct {
	command string
	want    string
}

// examples reads the console blocks: "$ " begins a command, what follows up to
// the next one is its output, where "..." stands for the rest of a line.
func examples(readme string) []example {
	var all []example
	inside := false
	for line := range strings.Lines(readme) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = strings.HasPrefix(line, "```console")
		case !inside:
		case strings.HasPrefix(line, "$ "):
			all = append(all, example{command: strings.TrimSpace(line[2:])})
		case len(all) > 0:
			all[len(all)-1].want += line
		}
	}
	return all
}

// Every command of the README does what the README says.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(takotest.Root(t), "README.md"))
	must(t, err)
	all := examples(string(readme))
	if len(all) < 5 {
		t.Fatalf("found %d examples", len(all))
	}
	b := newBench(t)
	b.pack(t)
	s := serve(t, b) // on a port of its own, which takes the place of the README's
	for _, e := range all {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(e.command, "localhost:8000", s.url))
		cmd.Dir = b.work
		cmd.Env = []string{
			"PATH=" + filepath.Dir(b.binary) + ":/usr/bin:/bin", "HOME=" + b.work, "TAKO_VM_DATA_DIR=" + b.root, "TAKO_URL=" + s.url,
		}
		if os.Geteuid() != 0 {
			cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
		}
		out, _ := cmd.CombinedOutput() // the exit code is part of what is printed
		// curl ends no line that the server does not end.
		if !pattern(strings.TrimRight(e.want, "\n")).MatchString(strings.TrimRight(string(out), "\n")) {
			t.Errorf("$ %s\nprinted\n%s\nwant\n%s", e.command, out, e.want)
		}
	}
	s.stop()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// pattern turns printed text into an expression in which "..." is anything.
func pattern(want string) *regexp.Regexp {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(want), regexp.QuoteMeta("..."), ".*")
	return regexp.MustCompile("^" + quoted + "$")
}

// The make targets that the README names exist, and so do the files it links.
func TestREADMELinks(t *testing.T) {
	root := takotest.Root(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	must(t, err)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^make ([a-z]+)`).FindAllStringSubmatch(string(readme), -1) {
		if !strings.Contains(string(makefile), "\n"+m[1]+":") {
			t.Errorf("the Makefile has no target %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(readme), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("the README links %s: %v", m[1], err)
		}
	}
}
