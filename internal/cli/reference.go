package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What man pages and docs/CLI.md have in common: the parts of a command's help.

// block is a paragraph of a text, or lines that stay as they are.
type block struct {
	verbatim bool
	lines    []string
}

// blocks takes a help text apart. Lines that are set off from the margin stay
// as they are; so does an empty line between two of them.
func blocks(text string) []block {
	var list []block
	empty := true // a paragraph begins
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		line = strings.TrimRight(line, " \n")
		verbatim := strings.HasPrefix(line, " ")
		last := len(list) - 1
		switch {
		case line == "":
			empty = true
			continue
		case verbatim && last >= 0 && list[last].verbatim:
			if empty {
				list[last].lines = append(list[last].lines, "")
			}
			list[last].lines = append(list[last].lines, line)
		case last >= 0 && !empty && list[last].verbatim == verbatim:
			list[last].lines = append(list[last].lines, line)
		default:
			list = append(list, block{verbatim, []string{line}})
		}
		empty = false
	}
	for i := range list {
		list[i].lines = flush(list[i].lines)
	}
	return list
}

// flush takes away what all lines are indented by.
func flush(lines []string) []string {
	indent := -1
	for _, l := range lines {
		if n := len(l) - len(strings.TrimLeft(l, " ")); l != "" && (indent < 0 || n < indent) {
			indent = n
		}
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l[min(max(indent, 0), len(l)):]
	}
	return out
}

// flagText is a flag as documents have it.
type flagText struct {
	names []string // "-c", "--config"
	value string   // "file"; empty for one without
	usage string
}

// flagsOf are the flags of a command, but for --help and those of its parents.
func flagsOf(cmd *cobra.Command) []flagText {
	var list []flagText
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || cmd.HasParent() && cmd.InheritedFlags().Lookup(f.Name) != nil {
			return
		}
		var t flagText
		if f.Shorthand != "" {
			t.names = append(t.names, "-"+f.Shorthand)
		}
		t.names = append(t.names, "--"+f.Name)
		t.value, t.usage = pflag.UnquoteUsage(f)
		t.usage = strings.ReplaceAll(t.usage, "\n", " ")
		if d := defaultOf(f); d != "" {
			t.usage += " (default " + d + ")"
		}
		list = append(list, t)
	})
	return list
}

// defaultOf is a default that the flag's text does not say.
func defaultOf(f *pflag.Flag) string {
	if strings.Contains(f.Usage, "(default") {
		return ""
	}
	switch d := strings.Trim(f.DefValue, "[]"); d {
	case "", "0", "false":
		return ""
	default:
		return d
	}
}

// documented are a command and those below it that help lists, in order.
func documented(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			list = append(list, documented(c)...)
		}
	}
	return list
}
