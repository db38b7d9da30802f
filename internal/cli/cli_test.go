package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                  "plain",
		"":                       "",
		"  \n around \n":         "around",
		"two\nlines":             "two;lines",
		"a\tb\rc\x00d\x7fe":      "a?b?c?d?e",
		"\x1b[31mred\x1b[0m":     "?[31mred?[0m",
		"c1 \u009b31m, \u0085":   "c1 ?31m,",
		"bidi \u202e\u2066 text": "bidi ?? text",
		"ümläut ☃ 😀":             "ümläut ☃ 😀",
		"a\xffb":                 "a\uFFFDb",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestOneLineProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		if got := oneLine(text); strings.ContainsFunc(got, unicode.IsControl) || strings.ContainsRune(got, '\u202e') {
			t.Fatalf("%q gives %q", text, got)
		}
	})
}

func TestExitCodes(t *testing.T) {
	code := func(n int) *int { return &n }
	for name, tc := range map[string]struct {
		res  runner.Result
		want int
	}{
		"done":                       {runner.Result{Status: job.Succeeded, ExitCode: code(0)}, 0},
		"failed":                     {runner.Result{Status: job.Failed, ExitCode: code(3)}, 3},
		"by a signal":                {runner.Result{Status: job.Failed, ExitCode: code(139)}, 139},
		"not found":                  {runner.Result{Status: job.Failed, ExitCode: code(127)}, 127},
		"the engine died":            {runner.Result{Status: job.Failed}, 125},
		"timeout":                    {runner.Result{Status: job.Timeout, ExitCode: code(143)}, 124},
		"timeout, exited with 0":     {runner.Result{Status: job.Timeout, ExitCode: code(0)}, 124},
		"timeout of startup":         {runner.Result{Status: job.Timeout}, 124},
		"out of memory":              {runner.Result{Status: job.OOM}, 137},
		"out of memory, with a code": {runner.Result{Status: job.OOM, ExitCode: code(1)}, 137},
		"cancelled":                  {runner.Result{Status: job.Cancelled}, 130},
	} {
		err := exitOf(&tc.res)
		var exit *exitError
		if tc.want == 0 && err == nil {
			continue
		}
		if !errors.As(err, &exit) || exit.code != tc.want || exit.msg != "" {
			t.Errorf("%s: %v, want %d", name, err, tc.want)
		}
	}
}

// -c before the command is the configuration; after it, it is the command's.
func TestSpellOut(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"", ""},
		{"-c f server", "--config f server"},
		{"-cf server -c g", "--config=f server -c g"},
		{"-c=f server", "--config=f server"},
		{"-c f run -c code", "--config f run -c code"},
		{"--config f run -c code", "--config f run -c code"},
		{"--config=f run -c code", "--config=f run -c code"},
		{"run -c code", "run -c code"},
		{"-c -c run -c code", "--config -c run -c code"},
		{"--help -c f run -c code", "--help --config f run -c code"},
	} {
		if got := strings.Join(spellOut(strings.Fields(tc.args)), " "); got != tc.want {
			t.Errorf("%q is %q, want %q", tc.args, got, tc.want)
		}
	}
}

// The configuration is found by either name, before and after the command.
func TestConfigFlag(t *testing.T) {
	for _, args := range []string{"-c gone.yaml validate", "validate -c gone.yaml", "--config gone.yaml validate", "server -c gone.yaml", "-c gone.yaml run -c x", "run --config gone.yaml -c x"} {
		a := newApp(t)
		root := a.newRootCommand()
		root.SetArgs(spellOut(strings.Fields(args)))
		root.SetOut(io.Discard)
		a.streams.Out = a.streams.Err
		_ = root.ExecuteContext(t.Context()) // validate says it on standard output
		if a.configPath != "gone.yaml" {
			t.Errorf("%s: %q", args, a.configPath)
		}
	}
}

// Flags of Tako VM that are not needed are no reason to fail.
func TestOldServerFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--workers 4":              "tako: --workers is not needed",
		"--reload":                 "tako: --reload is not needed",
		"--workers 0":              "--workers 0: it must be at least 1",
		"--workers 2 --reload":     "do not go together",
		"--no-auto-start-postgres": "Config file not found",
	} {
		a := newApp(t)
		root := a.newRootCommand()
		root.SetArgs(append(strings.Fields("server --config /none/gone.yaml"), strings.Fields(args)...))
		err := root.ExecuteContext(t.Context())
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != exitFailed || !strings.Contains(a.said(t)+exit.msg, want) {
			t.Errorf("%s: %v and %q", args, err, a.said(t))
		}
	}
}

func TestReport(t *testing.T) {
	interrupted, stop := context.WithCancelCause(t.Context())
	stop(runner.ErrOperator)
	piped, stop := context.WithCancelCause(t.Context())
	stop(errPipe)
	for name, tc := range map[string]struct {
		ctx  context.Context
		err  error
		code int
		said string
	}{
		"nothing":       {t.Context(), nil, 0, ""},
		"a code":        {t.Context(), &exitError{code: 7}, 7, ""},
		"usage":         {t.Context(), usageError("--x %d", 1), 2, "tako: --x 1\n"},
		"wrapped usage": {t.Context(), fmt.Errorf("a: %w", usageError("b")), 2, "tako: b\n"},
		"invalid":       {t.Context(), job.Errorf(job.KindInvalid, "a").WithHint("b"), 2, "tako: a; b\n"},
		"not found":     {t.Context(), job.Errorf(job.KindNotFound, "a"), 1, "tako: a\n"},
		"configuration": {t.Context(), job.Errorf(job.KindConfig, "a"), 125, "tako: a\n"},
		"unavailable":   {t.Context(), job.Errorf(job.KindUnavailable, "a"), 125, "tako: a\n"},
		"engine":        {t.Context(), job.Errorf(job.KindEngine, "a"), 125, "tako: a\n"},
		"internal":      {t.Context(), job.Errorf(job.KindInternal, "a"), 125, "tako: a\n"},
		"foreign":       {t.Context(), errors.New("a\nb\x1b"), 125, "tako: a;b?\n"},
		"joined":        {t.Context(), errors.Join(job.Errorf(job.KindInvalid, "a"), errors.New("b")), 2, "tako: a;b\n"},
		"interrupted":   {interrupted, context.Canceled, 130, "tako: interrupted\n"},
		"its own code":  {interrupted, &exitError{code: 130}, 130, ""},
		"broken pipe":   {piped, &exitError{code: 130}, 141, ""},
		"pipe, all ok":  {piped, nil, 0, ""},
	} {
		a := newApp(t)
		if got := a.report(tc.ctx, tc.err); got != tc.code || a.said(t) != tc.said {
			t.Errorf("%s: %d and %q, want %d and %q", name, got, a.said(t), tc.code, tc.said)
		}
	}
}

// testApp is an app whose standard error goes to a file.
type testApp struct{ *app }

func newApp(t *testing.T) testApp {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return testApp{&app{streams: Streams{Err: f}}}
}

func (a testApp) said(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(a.streams.Err.Name())
	must(t, err)
	return string(data)
}

// What the program's own output does not say, tako does, a line each.
func TestExplain(t *testing.T) {
	code := 1
	a := newApp(t)
	a.explain(&runner.Result{
		Status: job.Timeout, ExitCode: &code, EndedBy: job.EndedBy{Actor: job.ActorTimeout},
		Error:  &job.Failure{Message: "too\nslow"},
		Stdout: runner.Stream{Truncated: true, Total: 7}, Stderr: runner.Stream{Truncated: true, Total: 8},
		Unenforced: []string{"memory", "cpus"}, Skipped: []string{"\x1b: link"}, Artifacts: make([]job.Artifact, 2),
	}, &runOptions{})
	want := `tako: standard output was cut: the program wrote 7 bytes; --max-stdout keeps more
tako: standard error was cut: the program wrote 8 bytes; --max-stderr keeps more
tako: permissive: this host does not enforce memory, cpus; see tako doctor
tako: left in /output: ?: link
tako: the program left 2 file(s) in /output; --output-dir keeps them
tako: timeout: too;slow
`
	if got := a.said(t); got != want {
		t.Errorf("it says\n%s want\n%s", got, want)
	}
	for name, tc := range map[string]struct {
		res  runner.Result
		said string
	}{
		"all is well":        {runner.Result{Status: job.Succeeded, ExitCode: new(int), EndedBy: job.EndedBy{Actor: job.ActorUserCode}}, ""},
		"a traceback":        {runner.Result{Status: job.Failed, ExitCode: &code, EndedBy: job.EndedBy{Actor: job.ActorUserCode}, Error: &job.Failure{Message: "x", Phase: job.PhaseExecution}}, ""},
		"a signal":           {runner.Result{Status: job.Failed, ExitCode: &code, EndedBy: job.EndedBy{Actor: job.ActorUserCode, Signal: "SIGSEGV"}, Error: &job.Failure{Message: "x"}}, "tako: failed: x\n"},
		"nothing to execute": {runner.Result{Status: job.Failed, ExitCode: &code, EndedBy: job.EndedBy{Actor: job.ActorUserCode}, Error: &job.Failure{Message: "x", Phase: job.PhaseStartup}}, "tako: x\n"},
		"out of memory":      {runner.Result{Status: job.OOM, EndedBy: job.EndedBy{Actor: job.ActorMemory}, Error: &job.Failure{Message: "x"}}, "tako: oom: x\n"},
	} {
		a := newApp(t)
		a.explain(&tc.res, &runOptions{outputDir: "x"})
		if got := a.said(t); got != tc.said {
			t.Errorf("%s: %q, want %q", name, got, tc.said)
		}
	}
}

func TestLost(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		fail bool
	}{
		"nothing":       {nil, false},
		"a closed pipe": {fmt.Errorf("writing: %w", syscall.EPIPE), false},
		"a full disk":   {fmt.Errorf("writing: %w", syscall.ENOSPC), true},
	} {
		if err := lost(&runner.Result{Lost: tc.err}); (err != nil) != tc.fail || tc.fail && job.KindOf(err) != job.KindUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a program wrote is text in JSON whatever it is.
func TestText(t *testing.T) {
	for raw, want := range map[string]string{"": "", "a\x00b": "a\x00b", "\xff\xfe": "\uFFFD", "ü\xc3": "ü\uFFFD"} {
		got := text([]byte(raw))
		if encoded, err := json.Marshal(got); got != want || err != nil || !json.Valid(encoded) {
			t.Errorf("%q gives %q, want %q", raw, got, want)
		}
	}
}

func TestOpenStdin(t *testing.T) {
	dir := scripts(t)
	own, err := os.Open(filepath.Join(dir, "a.py"))
	must(t, err)
	a := &app{streams: Streams{In: own}}
	if r, err := a.openStdin(""); r != nil || err != nil {
		t.Errorf("none: %v, %v", r, err)
	}
	for _, name := range []string{"-", filepath.Join(dir, "a.py")} {
		r, err := a.openStdin(name)
		must(t, err)
		if data, err := io.ReadAll(r); string(data) != "print(1)" || err != nil {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		must(t, r.Close())
	}
	if _, err := own.Stat(); err != nil {
		t.Errorf("tako's own standard input was closed: %v", err)
	}
	own.Close()
	for _, name := range []string{dir, filepath.Join(dir, "none"), filepath.Join(dir, "fifo")} {
		var exit *exitError
		if _, err := a.openStdin(name); !errors.As(err, &exit) || exit.code != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
