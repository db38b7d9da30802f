package recipe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/takovm/tako/internal/job"
)

const whole = `
name: acme/data:1
base: debian:12-slim # an image
requirements: [pandas==2.2.3, internal-lib]
files:
  - {source: ./tool.py, path: /opt/tool/tool.py, mode: "0755"}
  - {source: ./models, path: /opt/models}
  - {source: /srv/shared, path: /usr/share/shared}
env: {LANG: C.UTF-8, A: "1"}
workdir: /app
user: "1000"
`

func TestParse(t *testing.T) {
	got, err := Parse("r.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &Recipe{
		Name: "acme/data:1", Base: "debian:12-slim", Requirements: []string{"pandas==2.2.3", "internal-lib"}, Shown: "r.yaml",
		Files: []File{
			{Source: "./tool.py", Path: "/opt/tool/tool.py", Mode: 0o755}, {Source: "./models", Path: "/opt/models"},
			{Source: "/srv/shared", Path: "/usr/share/shared"},
		},
		Env: []string{"A=1", "LANG=C.UTF-8"}, WorkingDir: "/app", User: "1000",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(File{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Parse("r.yaml", []byte("files: []\n")); err != nil {
		t.Errorf("nearly nothing: %v", err)
	}
}

// Whatever is wrong is said with its line.
func TestParseProblems(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                       {"", "r.yaml is empty"},
		"a comment":                     {"# name: x\n", "r.yaml is empty"},
		"a list":                        {"- a\n", "must be a mapping of keys"},
		"no YAML":                       {"name: [\n", "line 2: not valid YAML"},
		"two documents":                 {"name: a\n---\nname: b\n", "r.yaml"},
		"too long":                      {strings.Repeat("#", maxBytes+1), "over 1 MiB"},
		"an unknown key":                {"name: a\nrequirments: [x]\n", `line 2: unknown key "requirments"; did you mean requirements?`},
		"a key like none":               {"name: a\n\ncolour: red\n", `line 3: unknown key "colour"; there are base, env, files`},
		"a key of an item":              {"files:\n  - {source: a, path: /a, chmod: x}\n", `line 2: unknown key "chmod"`},
		"a key twice":                   {"name: a\nname: b\n", "name is given twice"},
		"no value":                      {"name:\n", "line 1: name has no value"},
		"a number":                      {"name: 7\n", "line 1: must be text, not a number (quote it"},
		"an alias":                      {"name: &a x\nbase: *a\n", "line 2: must be text, not an alias"},
		"a merge":                       {"name: a\n<<: {base: b}\n", `line 2: unknown key "<<"`},
		"a name that is none":           {"name: UPPER\n", `line 1: "UPPER" names no image`},
		"a name with a digest":          {"name: a@sha256:" + strings.Repeat("0", 64) + "\n", "has a digest, which is not known before"},
		"a base that is none":           {"base: a b\n", `line 1: "a b" names no image`},
		"a requirement that is none":    {"requirements:\n  - numpy\n  - --index-url=x\n", `line 3: the requirement "--index-url=x" is not one`},
		"a URL":                         {"requirements: ['a@https://b/c.whl']\n", "is not one"},
		"requirements that are no list": {"requirements: numpy\n", "line 1: requirements must be a list, not text"},
		"too many requirements":         {"requirements: [" + strings.Repeat("a,", 51) + "]\n", "Too many requirements"},
		"a file without a source":       {"files:\n  - {path: /a}\n", "line 2: source is missing"},
		"a file without a path":         {"files:\n  - {source: a}\n", "line 2: path is missing"},
		"a file that is text":           {"files: [a]\n", "an item of files must be a mapping, not text"},
		"a source outside":              {"files:\n  - {source: ../a, path: /a}\n", `line 2: the source "../a" leaves the directory of the recipe`},
		"a path without a slash":        {"files: [{source: a, path: opt/a}]\n", `"opt/a" must begin with /`},
		"a path that climbs":            {"files: [{source: a, path: /opt/../tmp/a}]\n", "must be written plainly, without .."},
		"a path that ends in a slash":   {"files: [{source: a, path: /opt/}]\n", "must be written plainly"},
		"the root":                      {"files: [{source: a, path: /}]\n", "is the root of the image"},
		"a path of the sandbox":         {"files: [{source: a, path: /app/main.py}]\n", `the path "/app/main.py" is in a directory that a sandbox has of its own`},
		"a mount point itself":          {"files: [{source: a, path: /output}]\n", "of its own"},
		"a path in proc":                {"files: [{source: a, path: /proc/a}]\n", "of its own"},
		"where packages are":            {"files: [{source: a, path: /opt/tako/packages/a.py}]\n", "where the packages of recipes are"},
		"where jobs' packages are":      {"files: [{source: a, path: /packages/a.py}]\n", "of its own"},
		"a file of every sandbox":       {"files: [{source: a, path: /etc/hosts}]\n", "written anew for every sandbox"},
		"a whiteout":                    {"files: [{source: a, path: /opt/.wh.b}]\n", "begins with .wh."},
		"a mode without quotes":         {"files: [{source: a, path: /a, mode: 0755}]\n", `mode must be text, in quotes: "0755"`},
		"a mode that is none":           {"files: [{source: a, path: /a, mode: rwx}]\n", `the mode "rwx" must be octal`},
		"a mode with setuid":            {"files: [{source: a, path: /a, mode: '4755'}]\n", "has setuid"},
		"a variable that is a number":   {"env:\n  A: 1\n", `line 2: the variable "A" must be text (quote numbers and booleans)`},
		"a variable's name":             {"env: {A-B: x}\n", `the variable "A-B" cannot be set`},
		"a variable twice":              {"env: {A: x, A: y}\n", "given twice"},
		"env as a list":                 {"env: [A=x]\n", "env must be a mapping, not a list"},
		"a relative workdir":            {"workdir: work\n", "must be an absolute path"},
		"a workdir nobody would see":    {"workdir: /tmp/x\n", "of those only /app"},
		"a user that is none":           {"user: 'a b'\n", "must be a name or a number"},
		"a user that is a number":       {"user: 1000\n", "line 1: must be text, not a number (quote it"},
		"several at once":               {"nam: a\nuser: 7\n", "line 2: must be text"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse("r.yaml", []byte(tc.text))
			if job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "r.yaml") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, %v", r, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("files: [{source: a, path: /a, mode: '0644'}]\nenv: {A: b}\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse("r", []byte(text))
		if err != nil {
			if job.KindOf(err) != job.KindInvalid {
				t.Errorf("%v", err)
			}
			return
		}
		for _, file := range r.Files {
			if sourceProblem(file.Source) != "" || pathProblem(file.Path) != "" || file.Mode > 0o777 {
				t.Errorf("%+v passes", file)
			}
		}
	})
}
