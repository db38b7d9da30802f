package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Who reads the help of a command as a stranger finds what it does, how it is
// called, and what its flags take.
func TestHelpSaysEnough(t *testing.T) {
	for _, c := range documented(newApp(t).newRootCommand()) {
		name := c.CommandPath()
		if c.Short == "" || !unicode.IsUpper(rune(c.Short[0])) || strings.HasSuffix(c.Short, ".") || len(c.Short) > 72 {
			t.Errorf("%s: the short help is %q", name, c.Short)
		}
		if len(c.Long) < 20 || strings.HasPrefix(c.Long, "\n") {
			t.Errorf("%s: the long help is %q", name, c.Long)
		}
		for line := range strings.Lines(c.Long) {
			if len(line) > 92 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl) {
				t.Errorf("%s: a line of the help is too long, or has control characters: %q", name, line)
			}
		}
		if !c.IsAdditionalHelpTopicCommand() && c.Name() != "version" && c.Name() != "mcp" && !strings.Contains(c.Example+c.Long, "tako ") {
			t.Errorf("%s: no example", name)
		}
		for line := range strings.Lines(c.Example) {
			if !regexp.MustCompile(`^  \S.*tako ` + strings.TrimPrefix(name, "tako ") + `\b|^  tako ` + strings.TrimPrefix(name, "tako ") + `\b`).MatchString(line) {
				t.Errorf("%s: an example is of something else: %q", name, line)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, usage := pflag.UnquoteUsage(f)
			if len(usage) < 8 || strings.HasSuffix(usage, ".") || value == "string" || value == "strings" || strings.Contains(usage, "(default:") && f.Name != "config" && f.Name != "username" {
				t.Errorf("%s --%s: %q takes %q", name, f.Name, usage, value)
			}
		})
	}
}

// The examples are command lines that are taken: every command and flag in them
// is there.
func TestExamplesAreTaken(t *testing.T) {
	for _, c := range documented(newApp(t).newRootCommand()) {
		for _, m := range regexp.MustCompile(`tako (?:tako )?((?:[a-z][a-z-]* )*[a-z][a-z-]*)[^|&\n]*`).FindAllStringSubmatch(c.Example, -1) {
			root := newApp(t).newRootCommand()
			at, _, err := root.Find(strings.Fields(m[1]))
			if err != nil || !at.HasParent() {
				t.Errorf("%s: %q is no command: %v", c.CommandPath(), m[0], err)
				continue
			}
			for _, flag := range regexp.MustCompile(`\s--([a-z-]+)`).FindAllStringSubmatch(m[0], -1) {
				if at.Flags().Lookup(flag[1]) == nil && root.PersistentFlags().Lookup(flag[1]) == nil {
					t.Errorf("%s has no flag --%s, which its example has", at.CommandPath(), flag[1])
				}
			}
		}
	}
}

// A command line that nearly is one is refused with what was meant, also where it
// asks for help.
func TestNearMisses(t *testing.T) {
	for args, want := range map[string]string{
		"serve":                  `unknown command "serve"; did you mean tako server? See tako --help`,
		"serve --help":           "did you mean tako server?",
		"--config x.yaml serve":  "did you mean tako server?",
		"--config=x.yaml srever": "did you mean tako server?",
		"help serve":             "did you mean tako server?",
		"execute code.py":        "did you mean tako run?",
		"logs 1234":              "did you mean tako jobs logs?",
		"jobs lst":               `tako jobs has no command "lst"; did you mean tako jobs list? See tako jobs --help`,
		"jobs rm 1 --help":       "did you mean tako jobs purge?",
		"help jobs lst":          "did you mean tako jobs list?",
		"help jobs list x":       `tako jobs list has no command "x"`,
		"list":                   `unknown command "list"; see tako --help`,
		"xyzzy":                  `unknown command "xyzzy"; see tako --help`,
		"run --timout 3":         "unknown flag: --timout; did you mean --timeout? See tako run --help",
		"jobs list --stats x":    "did you mean --status? See tako jobs list --help",
		"jobs list --xyzzy":      "unknown flag: --xyzzy; see tako jobs list --help",
		"jobs list -z":           "see tako jobs list --help",
		"completion tcsh":        "tako completion takes one shell",
	} {
		a := newApp(t)
		a.streams.Out = a.streams.Err
		if code := Main(strings.Fields(args), a.streams); code != exitUsage || !strings.Contains(a.said(t), want) || strings.Count(a.said(t), "\n") != 1 {
			t.Errorf("tako %s: exit code %d and %q, want %q", args, code, a.said(t), want)
		}
	}
}

// What is a command line is none of these.
func TestNoNearMisses(t *testing.T) {
	for args, want := range map[string]string{
		"--help":                           "Run code:",
		"jobs":                             "Available Commands:",
		"jobs --config list":               "Available Commands:",
		"server --help":                    "Serve the API",
		"help":                             "Run code:",
		"help jobs list":                   "tako jobs list [flags]",
		"help exit-codes":                  "137  the memory of the program ran out",
		"help environment":                 "TAKO_API_KEY",
		"dev up":                           "Nothing to do",
		"version":                          "tako ",
		"__complete ru":                    "run\tRun a program",
		"__complete jobs l":                "list\tList jobs",
		"__complete help ex":               "exit-codes\t",
		"__complete help jobs lo":          "logs\t",
		"__complete jobs list --status t":  "timeout\n",
		"__complete run --language n":      "node\n",
		"__complete run --job-type d":      "default\n",
		"__complete jobs show ":            ":4\n", // and no names of files
		"__complete keys create --scope r": "read\n",
		"completion bash":                  "__start_tako",
		"completion zsh":                   "#compdef tako",
		"completion fish":                  "complete -c tako",
		"completion powershell":            "Register-ArgumentCompleter",
	} {
		a := newApp(t)
		out, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
		must(t, err)
		a.streams.Out = out
		fields := strings.Fields(args)
		if strings.HasSuffix(args, " ") {
			fields = append(fields, "")
		}
		code := Main(fields, a.streams)
		text, err := os.ReadFile(out.Name())
		must(t, err)
		if code != exitDone || !strings.Contains(string(text), want) {
			t.Errorf("tako %s: exit code %d, %q and %.300q, want %q", args, code, a.said(t), text, want)
		}
	}
}

// Without a command there is nothing to do: its help, and exit code 1.
func TestNoCommand(t *testing.T) {
	a := newApp(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	must(t, err)
	a.streams.Out = out
	code := Main(nil, a.streams)
	text, err := os.ReadFile(out.Name())
	must(t, err)
	if code != exitFailed || !strings.Contains(string(text), "tako server") || a.said(t) != "" {
		t.Errorf("exit code %d, %q and %.300q", code, a.said(t), text)
	}
}

// Every status can be asked for, and completed.
func TestStatusesAreAll(t *testing.T) {
	list := newApp(t).newJobsListCommand()
	for _, s := range statuses() {
		if usage := list.Flags().Lookup("status").Usage; !strings.Contains(usage, s) {
			t.Errorf("%q does not name %s", usage, s)
		}
	}
}

// Every exit code has its meaning, and every command at least success and usage.
func TestExitsAreSaid(t *testing.T) {
	topic := exitTopic()
	for _, m := range exitMeanings() {
		if m.says == "" || !strings.Contains(topic, m.says) {
			t.Errorf("%d: %q", m.code, m.says)
		}
	}
	has := func(c *cobra.Command, code int) bool {
		for _, m := range exitsOf(c) {
			if m.code == code {
				return true
			}
		}
		return false
	}
	for _, c := range documented(newApp(t).newRootCommand()) {
		remote := c.Flags().Lookup("url") != nil && c.Name() != "mcp"
		if !has(c, exitUsage) || has(c, exitUnreachable) != remote || has(c, exitTimeout) != (c.Name() == "run") {
			t.Errorf("%s: %v", c.CommandPath(), exitsOf(c))
		}
	}
}
