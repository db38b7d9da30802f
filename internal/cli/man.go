package cli

import (
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"
)

const manLong = `Write the manual as man pages below DIR: a page for each command in DIR/man1 and
for each topic in DIR/man7. They are the same each time for one version of tako.`

func (a *app) newManCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write man pages", Long: manLong, Args: oneID("directory"),
		ValidArgsFunction: directories,
		Example:           "  tako man ~/.local/share/man && man tako-jobs-list",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := openOutput("DIR", args[0])
			if err != nil {
				return err
			}
			defer o.Close()
			pages := 0
			for _, c := range documented(cmd.Root()) {
				text := manPage(c)
				if err := o.save(manFile(c), int64(len(text)), strings.NewReader(text)); err != nil {
					return &exitError{code: exitFailed, msg: fmt.Sprintf("%s: %s", path.Join(args[0], manFile(c)), err)}
				}
				pages++
			}
			fmt.Fprintf(a.streams.Out, "%d pages in %s\n", pages, oneLine(args[0]))
			return nil
		},
	}
}

// manName is a command as its page is called: tako-jobs-list.
func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manSection is 7 for topics, which are no commands.
func manSection(cmd *cobra.Command) string {
	if cmd.IsAdditionalHelpTopicCommand() {
		return "7"
	}
	return "1"
}

func manFile(cmd *cobra.Command) string {
	s := manSection(cmd)
	return "man" + s + "/" + manName(cmd) + "." + s
}

// manPage is the page of a command in the language of man(7). It has no date,
// so that a version's pages are always the same.
func manPage(cmd *cobra.Command) string {
	p := &roff{}
	p.line(`.TH "%s" "%s" "" "tako %s" "Tako manual"`, strings.ToUpper(manName(cmd)), manSection(cmd), roffText(takoVersion()))
	p.line(".SH NAME")
	p.line(`%s \- %s`, roffText(manName(cmd)), roffText(lowerFirst(cmd.Short)))
	if manSection(cmd) == "1" {
		p.line(".SH SYNOPSIS")
		p.line(".B %s", roffText(cmd.UseLine()))
	}
	p.line(".SH DESCRIPTION")
	p.text(cmd.Long)
	p.flags("OPTIONS", flagsOf(cmd))
	if cmd.HasParent() && manSection(cmd) == "1" {
		p.flags("GLOBAL OPTIONS", globalFlags(cmd))
	}
	if cmd.Example != "" {
		p.line(".SH EXAMPLES")
		p.text(cmd.Example)
	}
	if manSection(cmd) == "1" && cmd.HasParent() && !cmd.HasSubCommands() {
		p.line(".SH EXIT STATUS")
		for _, m := range exitsOf(cmd) {
			p.line(".TP\n.B %d", m.code)
			p.line("%s", roffText(m.says))
		}
	}
	p.related(cmd)
	return p.String()
}

// globalFlags are what a command takes of its parents.
func globalFlags(cmd *cobra.Command) []flagText {
	if cmd.InheritedFlags().Lookup("config") == nil {
		return nil
	}
	return flagsOf(cmd.Root())
}

// roff writes man(7).
type roff struct{ strings.Builder }

func (p *roff) line(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *roff) text(text string) {
	for _, b := range blocks(text) {
		if b.verbatim {
			p.line(".PP\n.RS 4\n.nf")
		} else {
			p.line(".PP")
		}
		for _, l := range b.lines {
			p.line("%s", roffText(l))
		}
		if b.verbatim {
			p.line(".fi\n.RE")
		}
	}
}

func (p *roff) flags(title string, flags []flagText) {
	if len(flags) == 0 {
		return
	}
	p.line(".SH %s", title)
	for _, f := range flags {
		var names []string
		for _, n := range f.names {
			names = append(names, `\fB`+roffText(n)+`\fR`)
		}
		head := strings.Join(names, ", ")
		if f.value != "" {
			head += ` \fI` + roffText(f.value) + `\fR`
		}
		p.line(".TP\n%s", head)
		p.line("%s", roffText(f.usage))
	}
}

// related names the pages beside this one.
func (p *roff) related(cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, manRef(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			pages = append(pages, manRef(c))
		}
	}
	if len(pages) > 0 {
		p.line(".SH SEE ALSO")
		p.line("%s", strings.Join(pages, ",\n"))
	}
}

func manRef(cmd *cobra.Command) string {
	return `\fB` + roffText(manName(cmd)) + `\fR(` + manSection(cmd) + `)`
}

// roffText is a line of text in which nothing is a request of roff's.
func roffText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
