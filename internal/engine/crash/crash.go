// Package crash reads what a sandbox's process has written about its own end.
// It is apart from the engine so that it can be fuzzed: gVisor does not build
// with the fuzzer's instrumentation.
package crash

import (
	"encoding/json"
	"io"
	"os"
	"strings"
)

// Line is a line of gVisor's error log in JSON.
type Line struct {
	Msg string `json:"msg"`
}

// LastWords reads from a crash log the one line that says most: the message of
// a panic, else the last error; "" when there is neither. What is in the file
// may have been written by a Sentry that user code has broken: it is bounded,
// and it only ever becomes text for a person.
func LastWords(path string) string {
	const most = 64 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return ""
	}
	words := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return printable(line)
		}
		var c Line
		if json.Unmarshal([]byte(line), &c) == nil && c.Msg != "" {
			words = c.Msg
		}
	}
	return printable(words)
}

// printable keeps one short line without control characters.
func printable(s string) string {
	const most = 300
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.TrimSpace(s)
}
