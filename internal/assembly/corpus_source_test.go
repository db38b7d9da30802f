package assembly

import (
	"fmt"
	"strings"
	"testing"
)

// sourceCase is a program whose bytes matter: how they are read is not the same
// for a pipe and for a file. What names an encoding, and what is none, runs
// cold.
type sourceCase struct {
	name, code string
	corpusCase
}

// mostCode is what the API takes, in bytes of ASCII.
const mostCode = 100_000

func sourceCases() []sourceCase {
	good, syntax, either := corpusCase{}, fails(1, "syntax_error"), corpusCase{undecided: true}
	boots := func(c corpusCase) corpusCase {
		c.cold = true
		return c
	}
	say := "print(ascii('é'), open(__file__, 'rb').read()[:60])\n"
	latin := "print(ascii('\xe9'), ascii('\xc3\xa9'))\n"
	return []sourceCase{
		// Named encodings.
		{"utf-8", "# -*- coding: utf-8 -*-\n" + say, boots(good)},
		{"utf-8 in other words", "#coding=utf8\n" + say, boots(good)},
		{"latin-1", "# -*- coding: latin-1 -*-\n" + latin, boots(good)},
		{"latin-1 that is UTF-8, too", "# coding: latin-1\n" + say, boots(good)},
		{"in the second line", "#!/usr/bin/python3\n# vim: set fileencoding=cp1252 :\n" + say, boots(good)},
		{"after an empty line", "\n# coding: latin-1\n" + say, boots(good)},
		{"after a form feed", "\f # coding: latin-1\n" + say, boots(good)},
		{"after code", "import sys\n# coding: latin-1\n" + say, boots(good)},
		{"after \\r", "# x\r# coding: latin-1\r" + say, boots(good)},
		{"after \\r\\n", "# x\r\n# coding: latin-1\r\n" + say, boots(good)},
		{"in the third line", "# x\n# y\n# coding: latin-1\n" + say, good},
		{"in a string", "x = '# coding: latin-1'\n" + say, good},
		{"after code in its line", "x = 1 # coding: latin-1\n" + say, good},
		{"in capitals", "# CODING: latin-1\n" + say, good},
		{"without a name", "# coding:\n" + say, good},
		{"with a space too many", "# coding : latin-1\n" + say, good},
		{"unknown", "# coding: nonsense\n" + say, boots(syntax)},
		{"not for text", "# coding: rot13\n" + say, boots(syntax)},
		{"utf-16", "# coding: utf-16\n" + say, boots(syntax)},
		{"far into a line", "# " + strings.Repeat("x", 9000) + " coding: latin-1\n" + say, boots(good)},

		// Byte order marks.
		{"a mark", "\ufeff" + say, good},
		{"a mark and utf-8", "\ufeff# coding: utf-8\n" + say, good},
		{"a mark and latin-1", "\ufeff# coding: latin-1\n" + say, syntax},
		{"a mark and latin-1 below", "\ufeff\n# coding: latin-1\n" + say, boots(syntax)},
		{"a mark and nothing", "\ufeff#", good},
		{"two marks", "\ufeff\ufeff" + say, syntax},
		{"a mark within", "x = 1\n\ufeffprint(x)\n", syntax},
		{"half a mark", "\u00ef = 1; print(\u00ef)", good},

		// Ends of lines and of the file.
		{"\\r\\n", "x = '''a\r\nb'''\r\nprint(ascii(x))\r\nif x:\r\n    print(1)\r\n", good},
		{"\\r", "x = '''a\rb'''\rprint(ascii(x))\rif x:\r    print(1)\r", good},
		{"all three", "print(1)\r\nprint(2)\rprint(3)\nprint(4)\n\rprint(5)", good},
		{"\\r in the middle of an error", "x = 1\r\nif x:\r\n    1/0\r\n", fails(1, "division_error")},
		{"no end of the last line", "print('x')\nif 1:\n    print('y')", good},
		{"a comment without an end", "print('x')  # é", good},
		{"a backslash at the end", "print('x')\\", syntax},
		{"a backslash and a line at the end", "print('x')\\\n", syntax},
		{"an open block", "if 1:", syntax},
		{"an open block and spaces", "if 1:\n    \n", syntax},
		{"spaces at the end", "print('x')\n    ", good},
		{"form feeds", "\fprint(1)\n\fif 1:\n\f    print(2)\n\f\fprint(3)\f\n", good},
		{"vertical tab", "print(1)\v\n", syntax},
		{"other ends of lines", "x = 'a\u2028b\u2029c\u0085d'\nprint(ascii(x), len(x.splitlines()))\n1/0 # \u2028\n", fails(1, "division_error")},
		{"a substitute", "print(1)\n\x1aprint(2)\n", syntax},
		{"only a comment", "# nothing\n", good},
		{"only a docstring", "'''nothing'''", good},
		{"only pass", "pass", good},
		{"only blank lines and a name", "\n\n\n\n__name__\n\n", good},

		// Characters.
		{"identifiers", "größe = ﬁ = 𝔘 = 'x'; ª = 日本 = 1\nprint(sorted(map(ascii, (k for k in globals() if not k.startswith('__')))))\n", good},
		{"normalised", "ﬁn = 1\nprint(fin, K.real if (K := 1) else 0)\n", good},
		{"no identifier", "x = 1\nx€ = 2\n", syntax},
		{"quotes of typography", "print(“x”)\n", syntax},
		{"a zero width space", "x\u200b = 1\n", syntax},
		{"beyond the plane", "print(ascii('\U0010ffff\U0001f600'), len('\U0001f600'))\n1/0, '\U0001f600'\n", fails(1, "division_error")},
		{"control characters", "print(ascii('\x01\x7f\x1b'))\n", good},
		{"NUL", "print(1)\n\x00print(2)\n", boots(either)},
		{"NUL at the end", "print(1)\n\x00", boots(either)},
		{"NUL in a string", "print(ascii('a\x00b'))\n", boots(either)},
		{"not UTF-8", "print('before')\nx = '\xff'\n", boots(syntax)},
		{"cut UTF-8", "print('before')\n# \xe2\x98", boots(syntax)},
		{"a surrogate", "x = '\xed\xa0\x80'\n", boots(syntax)},
		{"overlong", "x = '\xc0\x80'\n", boots(syntax)},

		// Sizes: of the pipe, of buffers, of the most that is taken.
		{"a long line", "x = '" + strings.Repeat("é", 30_000) + "'\nprint(len(x)); 1/0\n", fails(1, "division_error")},
		{"an error at the end of a long line", "x = ('" + strings.Repeat("y", 60_000) + "', 1/0)\n", fails(1, "division_error")},
		{"what a buffer holds", sized(8192, say), good},
		{"what a pipe holds", sized(65536, say), good},
		{"a byte more", sized(65537, say), good},
		{"a byte less than the most", sized(mostCode-1, say), good},
		{"the most", sized(mostCode, say), good},
		{"the most, with an error in the first line", "def f(:\n" + sized(mostCode-8, ""), syntax},
		{"the most, with an error in the last line", sized(mostCode-8, "") + "def f(:\n", syntax},
		{"the most, with an exception in the last line", sized(mostCode-4, "") + "1/0\n", fails(1, "division_error")},
		{"many statements", strings.Repeat("x = 1\n", 16_000) + "print(x)\n", good},
		{"deep", "x = " + strings.Repeat("(", 150) + "1" + strings.Repeat(")", 150) + "\nprint(x)\n", good},
		{"too deep", "x = " + strings.Repeat("(", 250) + "1" + strings.Repeat(")", 250) + "\n", syntax},
		{"too deep for the parser", "x = " + strings.Repeat("-", 20_000) + "1\n", either},
		{"too deeply indented", indented(101), syntax},
		{"a source that looks at itself", "import inspect, sys\nprint(len(inspect.getsource(sys.modules[__name__])))\n" + sized(90_000, ""), good},
	}
}

// sized is a program of so many bytes that ends with code.
func sized(bytes int, code string) string {
	const line = "# 0123456789 é 0123456789 é 0123456789 é 0123456789\n"
	rest := bytes - len(code)
	return strings.Repeat(line, rest/len(line)) + strings.Repeat("\n", rest%len(line)) + code
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "%sif 1:\n", strings.Repeat(" ", i))
	}
	return b.String() + strings.Repeat(" ", depth) + "print(1)\n"
}

func TestCorpusSource(t *testing.T) {
	p := newPair(t)
	for _, c := range sourceCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p.alike(t, c.corpusCase, c.code)
		})
	}
}
