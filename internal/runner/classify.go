package runner

import (
	"bytes"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// bySignal names the error of a program that a signal has ended.
func bySignal(sig syscall.Signal) (kind, message string) {
	switch sig {
	case syscall.SIGKILL:
		return "killed", "Process was killed (SIGKILL) but not by the memory limit (no OOM kill recorded for the container)"
	case syscall.SIGTERM:
		return "cancelled", "Execution was cancelled by user"
	case syscall.SIGSEGV:
		return "segfault", "Segmentation fault in executed code"
	case syscall.SIGABRT:
		return "abort", "Process aborted (assertion failure or abort() called)"
	case syscall.SIGFPE:
		return "arithmetic_error", "Arithmetic error in executed code"
	case syscall.SIGBUS:
		return "bus_error", "Bus error in executed code"
	case syscall.SIGPIPE:
		return "pipe_error", "Broken pipe in executed code"
	case syscall.SIGXFSZ:
		return "runtime_error", "A file grew over the file size limit"
	}
	return "runtime_error", "Process was killed by " + sig.String()
}

// exceptions maps the exceptions of Python to error types, the contract's.
func exceptions() map[string]string {
	return map[string]string{
		"MemoryError":            "oom",
		"PermissionError":        "permission",
		"SyntaxError":            "syntax_error",
		"IndentationError":       "syntax_error",
		"TabError":               "syntax_error",
		"ImportError":            "import_error",
		"ModuleNotFoundError":    "import_error",
		"TypeError":              "type_error",
		"ValueError":             "value_error",
		"KeyError":               "key_error",
		"IndexError":             "index_error",
		"AttributeError":         "attribute_error",
		"NameError":              "name_error",
		"UnboundLocalError":      "name_error",
		"FileNotFoundError":      "file_not_found",
		"IsADirectoryError":      "file_error",
		"NotADirectoryError":     "file_error",
		"OSError":                "os_error",
		"IOError":                "os_error",
		"RecursionError":         "recursion_error",
		"AssertionError":         "assertion_error",
		"ZeroDivisionError":      "division_error",
		"OverflowError":          "overflow_error",
		"UnicodeDecodeError":     "encoding_error",
		"UnicodeEncodeError":     "encoding_error",
		"UnicodeTranslateError":  "encoding_error",
		"UnicodeError":           "encoding_error",
		"JSONDecodeError":        "json_error",
		"ConnectionError":        "network_error",
		"ConnectionRefusedError": "network_error",
		"ConnectionResetError":   "network_error",
		"BrokenPipeError":        "pipe_error",
		"TimeoutError":           "network_timeout",
	}
}

// byClaim reads the error type from the interpreter's report of the last
// traceback, at the end of stderr. User code can print the same: the type is a
// claim, never a fact.
func byClaim(stderr []byte) (kind, message string) {
	line := lastException(stderr)
	if line == "" {
		return "runtime_error", excerpt(stderr, "Process exited with an error")
	}
	if kind, ok := exceptions()[classOf(line)]; ok {
		return kind, excerpt([]byte(line), line)
	}
	return "runtime_error", excerpt([]byte(line), line)
}

// classOf is the class that the line of an exception names, without its module:
// json.decoder.JSONDecodeError.
func classOf(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return name[strings.LastIndexByte(name, '.')+1:]
}

// lastException finds the line that names the exception: the first after the
// last "Traceback" that is not indented (traceback.format_exception), or, for
// a syntax error in the program itself, the last line that looks like one.
func lastException(stderr []byte) string {
	text := string(bytes.ToValidUTF8(stderr, []byte("\uFFFD")))
	const mark = "Traceback (most recent call last):"
	at := strings.LastIndex(text, mark)
	if at >= 0 && (at == 0 || text[at-1] == '\n') {
		for line := range strings.Lines(text[at+len(mark):]) {
			line = strings.TrimRight(line, "\r\n")
			if line != "" && line[0] != ' ' && line[0] != '\t' {
				return line
			}
		}
	}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, _, ok := strings.Cut(line, ":"); ok && strings.HasSuffix(name, "Error") && !strings.ContainsAny(name, " \t") {
			last = line
		}
	}
	return last
}

// excerpt is at most 200 characters of s for a message, without control
// characters, or other when there are none.
func excerpt(s []byte, other string) string {
	const most = 200
	text := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(s), ""))
	text = strings.TrimSpace(text)
	if text == "" {
		return other
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	return text
}
