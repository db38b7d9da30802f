package cli

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/CLI.md again")

const cliFile = "../../docs/CLI.md"

// docs/CLI.md is the help of all commands, for reading at a desk.
func TestCLIReference(t *testing.T) {
	text := cliReference(newApp(t).newRootCommand())
	if *update {
		must(t, os.WriteFile(cliFile, []byte(text), 0o644))
	}
	file, err := os.ReadFile(cliFile)
	must(t, err)
	if string(file) != text {
		t.Errorf("%s is not what the commands say: go test ./internal/cli -run CLIReference -update", cliFile)
	}
}

// Its links lead somewhere in it, or to files beside it.
func TestCLIReferenceLinks(t *testing.T) {
	text := cliReference(newApp(t).newRootCommand())
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := anchorOf(m[1])
		if anchors[name] {
			t.Errorf("two sections are #%s", name)
		}
		anchors[name] = true
	}
	links := regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 40 {
		t.Errorf("%d links", len(links))
	}
	for _, m := range links {
		if target, ok := strings.CutPrefix(m[1], "#"); !ok || !anchors[target] {
			t.Errorf("a link to %s", m[1])
		}
	}
}

// anchorOf is what GitHub calls a heading.
func anchorOf(heading string) string {
	heading = strings.ToLower(strings.ReplaceAll(heading, " ", "-"))
	return regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(heading, "")
}

func cliReference(root *cobra.Command) string {
	p := &markdown{}
	p.line("<!-- Drawn from the commands. Not to be edited: go test ./internal/cli -run CLIReference -update -->\n")
	p.line("# The command line\n")
	p.text(root.Long)
	p.line("Every command has `--help`, and `-c`, `--config` *file* for another configuration file. `tako man DIR` writes all of this as man\npages; `tako completion bash` has a shell complete it.\n")
	p.line("| command | |\n|---|---|")
	var commands, topics []*cobra.Command
	for _, c := range documented(root)[1:] {
		if c.IsAdditionalHelpTopicCommand() {
			topics = append(topics, c)
			continue
		}
		commands = append(commands, c)
		p.line("| [`%s`](#%s) | %s |", c.CommandPath(), anchorOf(c.CommandPath()), cell(c.Short))
	}
	p.line("")
	for _, c := range commands {
		p.command(c)
	}
	p.line("## %s\n", asksServer)
	p.text(remoteHelp)
	for _, c := range topics {
		p.line("## %s\n", c.Short)
		p.text(c.Long)
	}
	return strings.TrimSpace(p.String()) + "\n"
}

const asksServer = "Commands that ask a server"

type markdown struct{ strings.Builder }

func (p *markdown) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *markdown) command(c *cobra.Command) {
	p.line("##%s %s\n", strings.Repeat("#", min(strings.Count(c.CommandPath(), " ")-1, 1)), c.CommandPath())
	if !c.HasSubCommands() {
		p.code([]string{c.UseLine()})
	}
	long, asks := strings.CutSuffix(c.Long, remoteHelp)
	p.text(long)
	if asks { // the same for all of them is said once
		p.line("It [asks a server](#%s).\n", anchorOf(asksServer))
	}
	if c.HasSubCommands() {
		var names []string
		for _, under := range documented(c)[1:] {
			names = append(names, fmt.Sprintf("[`%s`](#%s)", under.Name(), anchorOf(under.CommandPath())))
		}
		p.line("Commands: %s.\n", strings.Join(names, ", "))
		return
	}
	if flags := flagsOf(c); len(flags) > 0 {
		p.line("| flag | |\n|---|---|")
		for _, f := range flags {
			p.line("| %s | %s |", flagCell(f), cell(f.usage))
		}
		p.line("")
	}
	if c.Example != "" {
		p.code(flush(strings.Split(c.Example, "\n")))
	}
	var codes []string
	if c.Name() == "run" {
		codes = append(codes, "the program's own")
	}
	for _, m := range exitsOf(c) {
		codes = append(codes, fmt.Sprint(m.code))
	}
	p.line("[Exit codes](#%s): %s.\n", anchorOf("What the exit codes of tako say"), strings.Join(codes, ", "))
}

func (p *markdown) text(text string) {
	for _, b := range blocks(text) {
		if b.verbatim {
			p.code(b.lines)
			continue
		}
		for _, l := range b.lines {
			p.line("%s", escaped(l))
		}
		p.line("")
	}
}

func (p *markdown) code(lines []string) {
	p.line("```\n%s\n```\n", strings.Join(lines, "\n"))
}

func flagCell(f flagText) string {
	text := "`" + strings.Join(f.names, "`, `") + "`"
	if f.value != "" {
		text += " *" + escaped(f.value) + "*"
	}
	return text
}

// escaped is text that Markdown leaves alone.
func escaped(s string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`", "[", `\[`).Replace(s)
}

// cell is text in a table.
func cell(s string) string { return strings.ReplaceAll(escaped(s), "|", `\|`) }
