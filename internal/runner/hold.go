package runner

import (
	"bytes"
	"regexp"
	"sync"
	"unicode/utf8"
)

// Holdable reports whether the attempt's interpreter can be started ahead of
// its script and given the script through a pipe, without anybody being able to
// tell. Arguments, variables and input exist from the interpreter's start, so
// an attempt that has any of its own starts its own.
func (a *Attempt) Holdable() bool {
	return a.Language == "python" && len(a.Command) == 0 && len(a.Args) == 0 && (len(a.Env) == 0 || a.FixedEnv) && a.Stdin == nil &&
		pythonReadsOnce(a.Code)
}

// cookie is how a Python source names its encoding (PEP 263).
var cookie = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*[-\w.]+`)
})

// pythonReadsOnce reports whether Python reads code from its first byte to its
// last. It begins again, which a pipe cannot, where one of the first two lines
// names an encoding; and what is not UTF-8 is not worth a thought.
func pythonReadsOnce(code []byte) bool {
	if !utf8.Valid(code) || bytes.IndexByte(code, 0) >= 0 {
		return false
	}
	// Lines end as Python has it: \n, \r or both.
	for range 2 {
		end := bytes.IndexAny(code, "\r\n")
		if end < 0 {
			end = len(code)
		}
		if cookie().Match(code[:end]) {
			return false
		}
		code = bytes.TrimPrefix(code[end:], []byte("\r"))
		code = bytes.TrimPrefix(code, []byte("\n"))
	}
	return true
}
