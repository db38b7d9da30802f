package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// manual writes all pages and answers them by name.
func manual(t *testing.T) map[string]string {
	t.Helper()
	a, dir := newApp(t), t.TempDir()
	a.streams.Out = &bytes.Buffer{}
	if code := Main([]string{"man", dir}, a.streams); code != exitDone {
		t.Fatalf("exit code %d: %s", code, a.said(t))
	}
	pages := map[string]string{}
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		pages[name] = string(text)
		return err
	}))
	return pages
}

func TestManPages(t *testing.T) {
	pages := manual(t)
	commands := documented(newApp(t).newRootCommand())
	if len(pages) != len(commands) {
		t.Errorf("%d pages of %d commands", len(pages), len(commands))
	}
	for _, c := range commands {
		page := pages[manFile(c)]
		if !strings.HasPrefix(page, `.TH "`+strings.ToUpper(manName(c))+`" "`) || !strings.Contains(page, "\n.SH NAME\n") || !strings.Contains(page, "\n.SH DESCRIPTION\n") {
			t.Errorf("the page of %s is %.200q", c.CommandPath(), page)
		}
		for _, f := range flagsOf(c) {
			if !strings.Contains(page, `\fB`+roffText(f.names[len(f.names)-1])+`\fR`) {
				t.Errorf("%s does not have %v", manFile(c), f.names)
			}
		}
	}
}

// What groff would take for something else is not there: requests that are none
// of ours, escapes, control characters, pages that do not exist.
func TestManPagesAreRoff(t *testing.T) {
	pages := manual(t)
	request := regexp.MustCompile(`^\.(TH|SH|PP|TP|RS|RE|nf|fi|B)( |$)`)
	escape := regexp.MustCompile(`\\(e|-|&|fB|fI|fR|\(aq|\(ga|\(ha|\(ti)`)
	for name, page := range pages {
		for line := range strings.Lines(page) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case line == "" || strings.HasPrefix(line, "'"), strings.HasPrefix(line, ".") && !request.MatchString(line),
				strings.ContainsFunc(line, unicode.IsControl), strings.Contains(escape.ReplaceAllString(line, ""), `\`):
				if line != "" { // between lines that stay as they are
					t.Errorf("%s: %q", name, line)
				}
			}
		}
		for _, pair := range [][2]string{{"\n.nf\n", "\n.fi\n"}, {"\n.RS 4\n", "\n.RE\n"}} {
			if strings.Count(page, pair[0]) != strings.Count(page, pair[1]) {
				t.Errorf("%s: %s without %s", name, pair[0], pair[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^\\fB([a-z\\-]+)\\fR\(([17])\)`).FindAllStringSubmatch(page, -1) {
			if other := "man" + m[2] + "/" + strings.ReplaceAll(m[1], `\`, "") + "." + m[2]; pages[other] == "" {
				t.Errorf("%s refers to %s, which is not there", name, other)
			}
		}
	}
}

// The same version has the same pages: no dates, no orders of maps.
func TestManPagesAreTheSame(t *testing.T) {
	first, second := manual(t), manual(t)
	for name := range first {
		if first[name] != second[name] {
			t.Errorf("%s differs", name)
		}
		if regexp.MustCompile(`\b20\d\d\b|Auto generated`).MatchString(strings.ReplaceAll(first[name], `2026\-11\-24`, "")) { // an example's
			t.Errorf("%s has a date", name)
		}
	}
}

// Links below the directory lead nowhere out of it.
func TestManStaysInItsDirectory(t *testing.T) {
	a, dir, outside := newApp(t), t.TempDir(), t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(dir, "man1")))
	if code := Main([]string{"man", dir}, a.streams); code != exitFailed || !strings.Contains(a.said(t), "man1/tako.1") {
		t.Errorf("exit code %d, %q", code, a.said(t))
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	b := newApp(t)
	if code := Main([]string{"man", file}, b.streams); code != exitUsage || !strings.Contains(b.said(t), file) || strings.Contains(b.said(t), "--output-dir") {
		t.Errorf("a file: exit code %d, %q", code, b.said(t))
	}
}

func TestBlocks(t *testing.T) {
	text := "One\ntwo.\n\n    code\n\n      more\nthree\n\nfour"
	var got []string
	for _, b := range blocks(text) {
		mark := "p:"
		if b.verbatim {
			mark = "v:"
		}
		got = append(got, mark+strings.Join(b.lines, "|"))
	}
	if want := "p:One|two. v:code||  more p:three p:four"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	if got := blocks("  first\n  second"); len(got) != 1 || strings.Join(got[0].lines, "|") != "first|second" {
		t.Errorf("%v", got)
	}
}

func TestRoffText(t *testing.T) {
	for text, want := range map[string]string{
		".TH":       `\&.TH`,
		"'quoted'":  `\(aqquoted\(aq`,
		`a\fB`:      `a\efB`,
		"--x ~ ^ `": `\-\-x \(ti \(ha \(ga`,
	} {
		if got := roffText(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
