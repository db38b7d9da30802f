package build

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// tail passes on what an installer says and remembers the end of it.
type tail struct {
	mu     sync.Mutex
	to     io.Writer
	passed int
	last   []byte
}

// maxLog is how much of what an installation says is passed on, in bytes: it is
// kept in records, and an image's own Python may say anything.
const maxLog = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = bytes.Clone(t.last[max(0, len(t.last)-maxTail):])
	if t.passed < maxLog {
		_, _ = t.to.Write(p[:min(len(p), maxLog-t.passed)]) // a log that nobody takes is no reason to stop
		if t.passed += len(p); t.passed >= maxLog {
			_, _ = io.WriteString(t.to, "\ntako: the log is full: what came after this is not kept\n")
		}
	}
	return len(p), nil
}

// reason is what the installer gave as one: its lines of errors, or the last.
// npm begins each line with "npm error", or with "npm ERR!" as it did before.
func (t *tail) reason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []string
	last := "it did not say why"
	for line := range strings.Lines(strings.ToValidUTF8(string(t.last), "?")) {
		line = strings.TrimSpace(line)
		if text, ok := errorLine(line); ok && !slices.Contains(errs, text) {
			errs = append(errs, text)
		}
		if line != "" {
			last = line
		}
	}
	if len(errs) == 0 {
		errs = []string{last}
	}
	text := strings.Join(errs, "; ")
	return text[:min(len(text), 1000)]
}

// errorLine is what a line says about an error, if it does.
func errorLine(line string) (text string, ok bool) {
	if text, ok = strings.CutPrefix(line, "ERROR: "); ok {
		return text, true
	}
	text, ok = strings.CutPrefix(line, "npm ERR!")
	if !ok {
		text, ok = strings.CutPrefix(line, "npm error")
	}
	code := regexp.MustCompile(`^ ([A-Z0-9]{3,}|notarget|enoent)( |$)`) // "404", "ETARGET", "notarget"
	text = strings.TrimSpace(code.ReplaceAllString(text, ""))
	for _, advice := range []string{
		"code ", "errno ", "syscall ", "path ", "A complete log of this run", "Log files were not written", "Not Found - GET ",
		"Note that you can also install from", "tarball, folder, http url", "In most cases you or one of your dependencies", "a package version that doesn't exist",
		"Fix the upstream dependency conflict", "this command with --force", "to accept an incorrect", "For a full report see", "/app/tmp/",
	} {
		ok = ok && !strings.HasPrefix(text, advice)
	}
	return text, ok && text != ""
}
