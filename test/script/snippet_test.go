package script

import (
	"regexp"
	"strings"
)

// snippet is a fenced block of a document.
type snippet struct {
	language string // the word after the fence; none is a picture
	text     string
	line     int    // of its fence
	output   string // the block of language output that follows, if any
}

// snippets reads the fenced blocks of a document. A block of language output says
// what the one before it prints.
func snippets(document string) []snippet {
	var all []snippet
	var open *snippet
	for i, line := range strings.SplitAfter(document, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &snippet{language: strings.TrimSpace(fence), line: i + 1}
		case isFence && open.language == "output" && len(all) > 0:
			all[len(all)-1].output, open = open.text, nil
		case isFence:
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line
		}
	}
	return all
}

// example is one command of a console block and what it prints there.
type example struct {
	command string
	want    string
}

// examples reads a console block: "$ " begins a command, "> " goes on with it,
// and what follows is its output, where "..." stands for the rest of a line.
func examples(console string) []example {
	var all []example
	for line := range strings.Lines(console) {
		command, begins := strings.CutPrefix(line, "$ ")
		more, goesOn := strings.CutPrefix(line, "> ")
		switch {
		case begins:
			all = append(all, example{command: command})
		case len(all) == 0:
		case goesOn && all[len(all)-1].want == "":
			all[len(all)-1].command += more
		default:
			all[len(all)-1].want += line
		}
	}
	return all
}

// pattern turns printed text into an expression in which "..." is anything in a
// line, and any lines where it is a line of its own. Line ends at the end do not
// count: curl ends no line that the server does not end.
func pattern(want string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.TrimRight(want, "\n") + "\n")
	quoted = regexp.MustCompile(`(?m)^\\.\\.\\.\n`).ReplaceAllString(quoted, `(?:.*\n)*`)
	quoted = strings.ReplaceAll(quoted, regexp.QuoteMeta("..."), ".*")
	return regexp.MustCompile("^" + quoted + "$")
}
