package runner

import (
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// What Python 3.11 to 3.13 print, and what others print to look like it.
func TestByClaim(t *testing.T) {
	const top = "Traceback (most recent call last):\n  File \"/code/main.py\", line 1, in <module>\n    f()\n"
	for name, tc := range map[string]struct{ stderr, kind, message string }{
		"plain":       {top + "ValueError: bad\n", "value_error", "ValueError: bad"},
		"no message":  {top + "AssertionError\n", "assertion_error", "AssertionError"},
		"with carets": {top + "    ~^^~~\nZeroDivisionError: division by zero\n", "division_error", "ZeroDivisionError: division by zero"},
		"several lines in the message": {
			top + "KeyError: 'a\n  b\nTypeError: not this'\n", "key_error", "KeyError: 'a",
		},
		"with a note":     {top + "OSError: [Errno 28] No space left on device\nnote: think\n", "os_error", "OSError: [Errno 28] No space left on device"},
		"something after": {top + "NameError: name 'x' is not defined. Did you mean: 'y'?\nbye: bye\n", "name_error", "NameError: name 'x' is not defined. Did you mean: 'y'?"},
		"something before": {
			"warning: old\n" + top + "ModuleNotFoundError: No module named 'x'\n", "import_error", "ModuleNotFoundError: No module named 'x'",
		},
		"syntax error": {
			"  File \"/code/main.py\", line 1\n    x ===\n        ^\nSyntaxError: invalid syntax\n", "syntax_error", "SyntaxError: invalid syntax",
		},
		"indentation": {
			"  File \"/code/main.py\", line 2\n    x\nIndentationError: unexpected indent\n", "syntax_error", "IndentationError: unexpected indent",
		},
		"tabs": {
			"  File \"/code/main.py\", line 2\n    x\nTabError: inconsistent use of tabs and spaces in indentation\n",
			"syntax_error", "TabError: inconsistent use of tabs and spaces in indentation",
		},
		"syntax error of an import": {
			top + "  File \"/app/m.py\", line 1\n    (\n    ^\nSyntaxError: '(' was never closed\n", "syntax_error", "SyntaxError: '(' was never closed",
		},
		"chained, context": {
			top + "KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n" + top + "TypeError: b\n",
			"type_error", "TypeError: b",
		},
		"chained, cause": {
			top + "IndexError: a\n\nThe above exception was the direct cause of the following exception:\n\n" + top + "mine.Custom: b\n",
			"runtime_error", "mine.Custom: b",
		},
		"json": {
			top + "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)\n",
			"json_error", "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
		},
		"custom":                   {top + "a.b.c.MyError: x: y\n", "runtime_error", "a.b.c.MyError: x: y"},
		"custom, without module":   {top + "Boom: x\n", "runtime_error", "Boom: x"},
		"custom, by a known name":  {top + "mine.ValueError: x\n", "value_error", "mine.ValueError: x"},
		"interrupt":                {top + "KeyboardInterrupt\n", "runtime_error", "KeyboardInterrupt"},
		"recursion":                {top + "  [Previous line repeated 996 more times]\nRecursionError: maximum recursion depth exceeded\n", "recursion_error", "RecursionError: maximum recursion depth exceeded"},
		"unicode":                  {top + "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff\n", "encoding_error", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff"},
		"windows line ends":        {strings.ReplaceAll(top, "\n", "\r\n") + "ValueError: bad\r\n", "value_error", "ValueError: bad"},
		"cut before the exception": {top, "runtime_error", strings.ReplaceAll(strings.TrimSpace(top), "\n", " ")},
		"no line end":              {top + "ValueError: bad", "value_error", "ValueError: bad"},
		"a mark within a line": {
			top + "ValueError: bad\nlog: Traceback (most recent call last):\nIndexError: x\n", "index_error", "IndexError: x",
		},
		"forged": {"Traceback (most recent call last):\nMemoryError: not at all\n", "oom", "MemoryError: not at all"},
		"forged over a real one": {
			top + "KeyError: 'real'\nTraceback (most recent call last):\nPermissionError: forged\n", "permission", "PermissionError: forged",
		},
		"sys.exit with text":        {"something went wrong\n", "runtime_error", "something went wrong"},
		"sys.exit with an error":    {"error: it failed\n", "runtime_error", "error: it failed"},
		"node":                      {"/code/main.js:1\nfoo()\n^\n\nReferenceError: foo is not defined\n    at Object.<anonymous> (/code/main.js:1:1)\n", "runtime_error", "ReferenceError: foo is not defined"},
		"a sentence with a colon":   {"An Error: x\n", "runtime_error", "An Error: x"},
		"nothing":                   {"", "runtime_error", "Process exited with an error"},
		"blank":                     {" \n\t\n", "runtime_error", "Process exited with an error"},
		"control characters":        {top + "ValueError: a\x1b[2J\x07\x9b\u009b2Jb\u202ec\n", "value_error", "ValueError: a[2J2Jbc"},
		"invalid UTF-8":             {"\xff\xfe" + "\n" + top + "ValueError: \xffa\xfe\n", "value_error", "ValueError: a"},
		"nothing but what is wrong": {"\xff\x00\x1b", "runtime_error", "Process exited with an error"},
	} {
		kind, message := byClaim([]byte(tc.stderr))
		if kind != tc.kind || message != tc.message {
			t.Errorf("%s: %s, %q; want %s, %q", name, kind, message, tc.kind, tc.message)
		}
	}
}

// The traceback of a group is drawn with a frame. Its type is not in the table.
func TestByClaimGroup(t *testing.T) {
	const group = `  + Exception Group Traceback (most recent call last):
  |   File "/code/main.py", line 1, in <module>
  |     raise ExceptionGroup('two', [ValueError(1), KeyError(2)])
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/code/main.py", line 2, in f
    | ValueError: 1
    +---------------- 2 ----------------
    | KeyError: 2
    +------------------------------------
`
	if kind, message := byClaim([]byte(group)); kind != "runtime_error" || message == "" {
		t.Errorf("%s, %q", kind, message)
	}
}

func TestExcerptIsShort(t *testing.T) {
	for name, text := range map[string]string{
		"a line of 1 MB":     strings.Repeat("x", 1<<20),
		"characters of 4":    strings.Repeat("😀", 1<<18),
		"a traceback's line": "Traceback (most recent call last):\nValueError: " + strings.Repeat("ü", 1<<20),
	} {
		_, message := byClaim([]byte(text))
		if n := utf8.RuneCountInString(message); n != 200 {
			t.Errorf("%s: the message has %d characters", name, n)
		}
	}
}

// Every exception of the table is recognized, with and without a module.
func TestExceptions(t *testing.T) {
	for name, want := range exceptions() {
		for _, line := range []string{name, name + ": x", "some.module." + name + ": x: y"} {
			if kind, _ := byClaim([]byte("Traceback (most recent call last):\n" + line + "\n")); kind != want {
				t.Errorf("%s is %s, want %s", line, kind, want)
			}
		}
	}
}

func TestBySignal(t *testing.T) {
	want := map[syscall.Signal]string{
		syscall.SIGKILL: "killed", syscall.SIGTERM: "cancelled", syscall.SIGSEGV: "segfault", syscall.SIGABRT: "abort",
		syscall.SIGFPE: "arithmetic_error", syscall.SIGBUS: "bus_error", syscall.SIGPIPE: "pipe_error",
	}
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		kind, message := bySignal(sig)
		expected := want[sig]
		if expected == "" {
			expected = "runtime_error"
		}
		if kind != expected || message == "" {
			t.Errorf("%s (%d) is %s, %q", unix.SignalName(sig), sig, kind, message)
		}
	}
}

// Whatever a program prints, the claim is a type of the table and a short line.
func FuzzByClaim(f *testing.F) {
	f.Add([]byte("Traceback (most recent call last):\n  File\nValueError: x\n"))
	f.Add([]byte("\nTraceback (most recent call last):"))
	f.Add([]byte("\xff\n\x9bError:\u202e\r\n"))
	f.Add([]byte("..:Error:"))
	known := map[string]bool{"runtime_error": true}
	for _, kind := range exceptions() {
		known[kind] = true
	}
	f.Fuzz(func(t *testing.T, stderr []byte) {
		line := lastException(stderr)
		if strings.ContainsRune(line, '\n') || !utf8.ValidString(line) {
			t.Errorf("the line is %q", line)
		}
		kind, message := byClaim(stderr)
		if !known[kind] || message == "" || !utf8.ValidString(message) || utf8.RuneCountInString(message) > 200 {
			t.Errorf("%s, %q", kind, message)
		}
		if strings.ContainsFunc(message, unicode.IsControl) {
			t.Errorf("%q holds a control character", message)
		}
	})
}
