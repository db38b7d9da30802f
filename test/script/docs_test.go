package script

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/takotest"
)

// reader follows a document: what it says to type is typed, in one directory and
// in one shell.
type reader struct {
	t    *testing.T
	b    *bench
	dir  string // of this document
	url  string // of the server that takes the place of localhost:8000
	env  []string
	name string // of the document
}

// Every snippet of the README and of docs does what the document says.
func TestDocs(t *testing.T) {
	root := takotest.Root(t)
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	must(t, err)
	b := newBench(t)
	b.pack(t)
	config := docsConfig(t, b)
	s := serve(t, b, "TAKO_VM_CONFIG="+config)
	for _, file := range append(documents, filepath.Join(root, "README.md")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			r := &reader{t: t, b: b, url: s.url, name: filepath.Base(file)}
			r.dir, err = os.MkdirTemp(b.work, "doc-")
			must(t, err)
			must(t, os.Symlink(filepath.Join(b.work, "wheels"), filepath.Join(r.dir, "wheels")))
			r.env = []string{
				"PATH=" + filepath.Dir(b.binary) + ":/usr/bin:/bin", "HOME=" + r.dir, "TAKO_VM_DATA_DIR=" + b.root, "TAKO_VM_CONFIG=" + config,
				"TAKO_URL=" + s.url, "XDG_CACHE_HOME=" + b.work, "PYTHONPATH=" + filepath.Join(root, "sdk", "python"), "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8",
			}
			if os.Geteuid() != 0 {
				r.env = append(r.env, "TAKO_VM_SECURITY_MODE=permissive")
			}
			r.read(snippets(string(text)))
		})
	}
	s.stop()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// docsConfig is the configuration that documents are followed with: packages come
// from a directory, since a test asks no index.
func docsConfig(t *testing.T, b *bench) string {
	wheels := filepath.Join(b.work, "wheels")
	must(t, os.Mkdir(wheels, 0o755))
	takotest.Wheel(t, wheels, "cowsay", "6.1", map[string]string{"cowsay/__init__.py": "def get_output_string(who, text):\n    return f'{who} says {text}'\n"})
	takotest.Wheel(t, wheels, "acme", "2.0", map[string]string{"acme.py": ""})
	takotest.Wheel(t, wheels, "tabulate", "0.9.0", map[string]string{"tabulate.py": "__version__ = '0.9.0'\n"})
	must(t, os.WriteFile(filepath.Join(wheels, "left-pad-1.3.0.tgz"), takotest.NPMPackage(t,
		map[string]any{"name": "left-pad", "version": "1.3.0"}, map[string]string{"index.js": "module.exports = (s, n) => String(s).padStart(n)\n"}), 0o644))
	file := filepath.Join(b.work, "tako_vm.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "package_wheels_dir: %s\npackage_offline: true\nallow_runtime_requirements: true\nallow_request_images: true\nwebhook_allow_http: true\n", wheels), 0o644))
	return file
}

func (r *reader) read(all []snippet) {
	var console []example
	for _, s := range all {
		if s.language == "console" {
			console = append(console, examples(s.text)...)
		}
	}
	r.typed(console)
	for _, s := range all {
		ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
		if err := r.follow(ctx, s); err != nil {
			r.t.Errorf("%s:%d: %v", r.name, s.line, err)
		}
		cancel()
	}
}

// typed runs commands one after the other in one shell, as a person would, so that
// a variable of one is there in the next.
func (r *reader) typed(console []example) {
	const end = "\x1e"
	var script strings.Builder
	for _, e := range console {
		fmt.Fprintf(&script, "%s\nprintf '%s'\n", r.here(e.command), end)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	out, err := r.run(ctx, "bash", "-c", script.String())
	if ctx.Err() != nil {
		r.t.Errorf("%s: %v\n%s", r.name, err, out)
	}
	printed := strings.Split(out, end)
	for i, e := range console {
		if i >= len(printed) {
			r.t.Fatalf("%s: nothing is printed from here on:\n$ %s", r.name, e.command)
		}
		if !pattern(e.want).MatchString(ended(printed[i])) {
			r.t.Errorf("%s:\n$ %s\nprinted\n%s\nwant\n%s", r.name, e.command, printed[i], e.want)
		}
	}
}

// ended is output with exactly one line end.
func ended(out string) string { return strings.TrimRight(out, "\n") + "\n" }

// follow does what a block of another kind is for.
func (r *reader) follow(ctx context.Context, s snippet) error {
	switch s.language {
	case "", "text", "console": // a picture; typed has done it
		return nil
	case "json":
		var v any
		return json.Unmarshal([]byte(s.text), &v)
	case "yaml":
		return r.valid(ctx, s.text)
	case "python":
		return r.program(ctx, s, "snippet.py", "/usr/bin/python3")
	case "ts":
		return r.printed(ctx, s, "node", compiled(r.t, takotest.Root(r.t), r.here(s.text)))
	case "go":
		return r.program(ctx, s, "snippet.go", "")
	case "sh":
		return r.spelled(ctx, s.text)
	case "ini":
		_, rest, _ := strings.Cut(s.text, "ExecStart=/usr/local/bin/")
		command, _, _ := strings.Cut(rest, "\n")
		return r.spelled(ctx, command)
	}
	return fmt.Errorf("nobody tests a block of language %q", s.language)
}

// program runs a snippet that is a program, in r's directory; without an
// interpreter it is one in Go.
func (r *reader) program(ctx context.Context, s snippet, name, interpreter string) error {
	file := filepath.Join(r.dir, name)
	if err := os.WriteFile(file, []byte(r.here(s.text)), 0o600); err != nil {
		return err
	}
	args := []string{interpreter, file}
	if interpreter == "" {
		binary, err := buildGo(r.t, file)
		if err != nil {
			return err
		}
		args = []string{binary}
	}
	return r.printed(ctx, s, args...)
}

// printed runs the program of a snippet and holds what it prints against what the
// document says.
func (r *reader) printed(ctx context.Context, s snippet, args ...string) error {
	out, err := r.run(ctx, args[0], args[1:]...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if s.output != "" && !pattern(s.output).MatchString(ended(out)) {
		return fmt.Errorf("printed\n%s\nwant\n%s", out, s.output)
	}
	return nil
}

// valid checks a configuration; recipes are written and built in console blocks.
func (r *reader) valid(ctx context.Context, text string) error {
	file := filepath.Join(r.dir, "snippet.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := r.run(ctx, "tako", "validate", file); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// spelled checks commands that a test cannot run, since they need the internet or
// another machine: bash can read them, make's targets exist, and tako knows each
// command and flag.
func (r *reader) spelled(ctx context.Context, text string) error {
	if out, err := r.run(ctx, "bash", "-n", "-c", text); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] == "tako":
			at := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") || strings.HasPrefix(w, "#") })
			if at < 0 {
				at = len(words)
			}
			words = slices.Insert(words, at, "--help")
			if out, err := r.run(ctx, "bash", "-c", strings.Join(words, " ")); err != nil {
				return fmt.Errorf("%s: %w\n%s", line, err, out)
			}
		case len(words) > 1 && words[0] == "make":
			if out, err := r.run(ctx, "make", "-n", "-C", takotest.Root(r.t), words[1]); err != nil {
				return fmt.Errorf("%s: %w\n%s", line, err, out)
			}
		}
	}
	return nil
}

// here puts the server under test where a document has localhost:8000.
func (r *reader) here(text string) string {
	text = strings.ReplaceAll(text, "http://localhost:8000", r.url)
	return strings.ReplaceAll(text, "localhost:8000", r.url)
}

func (r *reader) run(ctx context.Context, name string, args ...string) (string, error) {
	if name == "tako" {
		name = r.b.binary
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = r.dir, r.env, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Files that documents link exist, and so do the headings.
func TestDocsLinks(t *testing.T) {
	root := takotest.Root(t)
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	must(t, err)
	known := map[string][]string{} // anchors by file
	for _, file := range append(documents, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if known[target] == nil {
				known[target] = anchors(t, target)
			}
			if anchor != "" && !slices.Contains(known[target], anchor) {
				t.Errorf("%s links %s, and there is no such heading", filepath.Base(file), m[1])
			}
		}
	}
}

// anchors are what headings of a document are linked by: lower case, hyphens for
// spaces, other marks left out. Other files and directories have none.
func anchors(t *testing.T, file string) []string {
	all := []string{}
	if info, err := os.Stat(file); err != nil || info.IsDir() || filepath.Ext(file) != ".md" {
		if err != nil {
			t.Errorf("a link: %v", err)
		}
		return all
	}
	document, err := os.ReadFile(file)
	must(t, err)
	odd := regexp.MustCompile(`[^\p{L}\p{N}_-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(document), -1) {
		all = append(all, odd.ReplaceAllString(strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"), ""))
	}
	for _, m := range regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindAllStringSubmatch(string(document), -1) {
		all = append(all, m[1])
	}
	return all
}
