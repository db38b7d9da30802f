package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// parse reads a command line of tako run as cobra does.
func parse(t *testing.T, stdin io.Reader, args ...string) (*runner.Attempt, error) {
	t.Helper()
	o := &runOptions{}
	cmd := &cobra.Command{}
	o.addFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	o.given = cmd.Flags().Changed
	cfg := config.Default(t.TempDir())
	return o.attempt(cfg, job.Type{Limits: cfg.Limits()}, source{
		code: o.code, hasCode: cmd.Flags().Changed("code"),
		args: cmd.Flags().Args(), isCommand: cmd.ArgsLenAtDash() == 0,
	}, stdin)
}

// scripts is a directory with files to name.
func scripts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.py": "print(1)", "a.js": "console.log(1)", "a.sh": "echo", "A.MJS": "1", "noext": "x = 1", "empty.py": " \n", "input.json": `{"k": 1}`,
		"array.json": "[1]", "long.py": strings.Repeat("#", 102_401), "a:b": "colon",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// words splits a command line at spaces; @ is the directory of scripts.
func words(line, dir string) []string {
	var list []string
	for _, w := range strings.Fields(line) {
		list = append(list, strings.ReplaceAll(w, "@", dir))
	}
	return list
}

func TestAttemptProgram(t *testing.T) {
	dir := scripts(t)
	for line, want := range map[string]runner.Attempt{
		"-c 1":                     {Language: "python", Code: []byte("1")},
		"-c 1 a -x":                {Language: "python", Code: []byte("1"), Args: []string{"a", "-x"}},
		"-c 1 -- -x":               {Language: "python", Code: []byte("1"), Args: []string{"-x"}},
		"-c 1 -":                   {Language: "python", Code: []byte("1"), Args: []string{"-"}},
		"--language bash -c ls":    {Language: "bash", Code: []byte("ls")},
		"-":                        {Language: "python", Code: []byte("typed")},
		"- a b":                    {Language: "python", Code: []byte("typed"), Args: []string{"a", "b"}},
		"--language node -":        {Language: "node", Code: []byte("typed")},
		"@/a.py":                   {Language: "python", Code: []byte("print(1)")},
		"@/a.py --timeout 5":       {Language: "python", Code: []byte("print(1)"), Args: []string{"--timeout", "5"}},
		"@/a.py -- x":              {Language: "python", Code: []byte("print(1)"), Args: []string{"--", "x"}},
		"@/a.js":                   {Language: "node", Code: []byte("console.log(1)")},
		"@/A.MJS":                  {Language: "node", Code: []byte("1")},
		"@/a.sh":                   {Language: "bash", Code: []byte("echo")},
		"@/noext":                  {Language: "python", Code: []byte("x = 1")},
		"--language python @/a.js": {Language: "python", Code: []byte("console.log(1)")},
		"-- ls -l /usr":            {Command: []string{"ls", "-l", "/usr"}},
		"-- -":                     {Command: []string{"-"}},
	} {
		a, err := parse(t, strings.NewReader("typed"), words(line, dir)...)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		got := runner.Attempt{Language: a.Language, Code: a.Code, Command: a.Command, Args: a.Args}
		if len(got.Args) == 0 {
			got.Args = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", line, got, want)
		}
	}
}

func TestAttemptFlags(t *testing.T) {
	dir := scripts(t)
	t.Setenv("TAKO_TEST_OWN", "from here")
	a, err := parse(t, nil, words("--timeout 1m --startup-timeout 2.5 --memory 1g --cpus 0.5 --pids 7 --disk 5m --max-files 99 "+
		"--file-size 2m --max-stdout 0 --max-stderr 1k --env A=1 --env A=2 --env B=x=y --env C= --env TAKO_TEST_OWN "+
		"--input @/input.json --file @/a.py:x/y --file @/a:b:/input/z -c 1", dir)...)
	must(t, err)
	l := a.Limits
	if l.Execution != time.Minute || l.Startup != 2500*time.Millisecond || l.Memory != 1<<30 || l.CPUs != 0.5 || l.PIDs != 7 ||
		l.Disk != 5<<20 || l.Files != 99 || l.FileSize != 2<<20 || l.Stdout != 0 || l.Stderr != 1<<10 {
		t.Errorf("the limits are %+v", l)
	}
	if want := map[string]string{"A": "2", "B": "x=y", "C": "", "TAKO_TEST_OWN": "from here"}; !reflect.DeepEqual(a.Env, want) {
		t.Errorf("the environment is %q", a.Env)
	}
	if string(a.Input) != `{"k": 1}` || len(a.Files) != 2 || a.Files[0].Path != "x/y" || a.Files[1].Path != "z" {
		t.Errorf("the input is %q, the files %+v", a.Input, a.Files)
	}
	r, err := a.Files[1].Open()
	must(t, err)
	defer r.Close()
	if data, err := io.ReadAll(r); string(data) != "colon" || err != nil || a.Files[1].Size != 5 {
		t.Errorf("the file is %q, %v", data, err)
	}
	if a, err = parse(t, nil, "--input", ` {"in": "line"}`, "-c", "1"); err != nil || string(a.Input) != ` {"in": "line"}` {
		t.Errorf("input in line: %q, %v", a.Input, err)
	}
}

// A wrong command line is a usage error, one line that names what is wrong.
func TestAttemptRefuses(t *testing.T) {
	dir := scripts(t)
	for line, part := range map[string]string{
		"":                                  "nothing to run",
		"--":                                "nothing to run",
		"--language cobol -c 1":             `unknown language "cobol"`,
		"@/none.py":                         "no such file",
		"@/dir":                             "is a directory",
		"@/fifo":                            "is a FIFO",
		"@/empty.py":                        "the code is empty",
		"@/long.py":                         "longer than",
		"--timeout 301 -c 1":                "max_timeout",
		"--startup-timeout 601 -c 1":        "max_startup_timeout",
		"--timeout 0 -c 1":                  "timeout is 0s",
		"--timeout -1 -c 1":                 "timeout is -1s",
		"--timeout NaN -c 1":                `--timeout "NaN"`,
		"--timeout Inf -c 1":                `--timeout "Inf"`,
		"--timeout 1e300 -c 1":              `--timeout "1e300"`,
		"--timeout soon -c 1":               `--timeout "soon"`,
		"--timeout= -c 1":                   `--timeout ""`,
		"--startup-timeout 31m -c 1":        "max_startup_timeout",
		"--memory 1 -c 1":                   "memory is 1 bytes",
		"--memory 512MB -c 1":               "--memory",
		"--memory= -c 1":                    "--memory",
		"--memory 99999999999g -c 1":        "--memory",
		"--cpus 0 -c 1":                     "cpus is 0",
		"--cpus NaN -c 1":                   "cpus is NaN",
		"--cpus Inf -c 1":                   "cpus is +Inf",
		"--pids 0 -c 1":                     "pids is 0",
		"--max-files 1 -c 1":                "files is 1",
		"--max-stdout -1 -c 1":              "--max-stdout",
		"--input [1] -c 1":                  "--input",
		"--input {bad -c 1":                 "not a JSON object",
		"--input @/array.json -c 1":         "not a JSON object",
		"--input @/none -c 1":               "no such file",
		"--input @/fifo -c 1":               "is a FIFO",
		"--file @/a.py -c 1":                "write it as host:inside",
		"--file :x -c 1":                    "write it as host:inside",
		"--file x: -c 1":                    "write it as host:inside",
		"--file @/none:x -c 1":              "no such file",
		"--file @/dir:x -c 1":               "is a directory",
		"--file @/fifo:x -c 1":              "is a FIFO",
		"--file /dev/null:x -c 1":           "not a regular file",
		"--env TAKO_TEST_SURELY_UNSET -c 1": "not set here",
	} {
		_, err := parse(t, strings.NewReader(""), words(line, dir)...)
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != exitUsage || !strings.Contains(exit.msg, part) || strings.Contains(exit.msg, "\n") {
			t.Errorf("%s: %v, want %q", line, err, part)
		}
	}
	if _, err := parse(t, nil, "-c", strings.Repeat("#", runner.MaxCode+1)); err == nil || !strings.Contains(err.Error(), "-c is longer") {
		t.Errorf("long code: %v", err)
	}
	if _, err := parse(t, nil, "-c", " \n"); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("blank code: %v", err)
	}
	if _, err := parse(t, strings.NewReader(strings.Repeat("#", runner.MaxCode+1)), "-"); err == nil || !strings.Contains(err.Error(), "standard input is longer") {
		t.Errorf("long code on standard input: %v", err)
	}
	if _, err := parse(t, nil, "--input", `{"k": "`+strings.Repeat("x", runner.MaxInput)+`"}`, "-c", "1"); err == nil || !strings.Contains(err.Error(), "--input is longer") {
		t.Errorf("long input: %v", err)
	}
}

func TestLanguageOf(t *testing.T) {
	for name, want := range map[string]string{
		"a.py": "python", "a": "python", "a.js": "node", "a.cjs": "node", "a.MJS": "node", "a.sh": "bash", "dir.js/a": "python", "a.bash": "bash",
	} {
		if got := languageOf(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Second, "0.5": 500 * time.Millisecond, "1e2": 100 * time.Second, "2m": 2 * time.Minute, "1h2m3s": 3723 * time.Second,
		"0": 0, "-1": -time.Second, "500ms": 500 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "x", "NaN", "inf", "-Inf", "1e9", "1e400", "30 s", "30sec", "9999999999h"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// Whatever is written, the duration is what it says or an error: a number that
// does not fit never comes out as another one. (No fuzz test: this package
// links gVisor, which does not build with the instrumentation.)
func TestParseDurationProperties(t *testing.T) {
	texts := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`-?[0-9]{0,25}(\.[0-9]{0,12})?([eE][-+]?[0-9]{1,3})?(ns|us|ms|s|m|h)?`),
		rapid.SampledFrom([]string{"1e18", "-0", "NaN", "0x1p60", "1_000", "999999999.9999999999", "-999999999", "1e9", "-1e9"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		d, err := parseDuration(text)
		if err != nil {
			if d != 0 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %v, %q", text, d, err)
			}
			return
		}
		if negative := strings.HasPrefix(text, "-"); negative && d > 0 || !negative && d < 0 {
			t.Fatalf("%q is %v", text, d)
		}
		if known, err := time.ParseDuration(text); err == nil && known != d {
			t.Fatalf("%q is %v, want %v", text, d, known)
		}
	})
}

// What the flags of the help say is what there is.
func TestRunFlagsAreAllRead(t *testing.T) {
	cmd := (&app{}).newRunCommand()
	for _, name := range []string{"file", "env"} {
		if kind := cmd.Flags().Lookup(name).Value.Type(); kind != "stringArray" {
			t.Errorf("--%s splits its value: %s", name, kind)
		}
	}
	if cmd.Flags().Lookup("code").Shorthand != "c" {
		t.Error("-c is not --code")
	}
}
