package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLastWords(t *testing.T) {
	for name, tt := range map[string]struct{ log, want string }{
		"nothing":      {"", ""},
		"an error":     {`{"msg":"first","level":"error"}` + "\n" + `{"msg":"opening the spec: no","level":"error"}` + "\n", "opening the spec: no"},
		"a panic":      {`{"msg":"x"}` + "\npanic: index out of range [5]\n\ngoroutine 1 [running]:\n", "panic: index out of range [5]"},
		"a Go fatal":   {"fatal error: out of memory\n", "fatal error: out of memory"},
		"rubbish":      {"\x00\x01{{{\n", ""},
		"control text": {`{"msg":"a\u001b[31mb\nc"}`, "a [31mb c"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "crash.log")
			if err := os.WriteFile(path, []byte(tt.log), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := LastWords(path); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := LastWords(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("no file says %q", got)
	}
}

// A crash log may be written by a Sentry that user code has taken over.
func FuzzLastWords(f *testing.F) {
	f.Add([]byte(`{"msg":"x"}`))
	f.Add([]byte("panic: \xff\x1b]0;title\a"))
	f.Fuzz(func(t *testing.T, log []byte) {
		path := filepath.Join(t.TempDir(), "crash.log")
		if err := os.WriteFile(path, log, 0o600); err != nil {
			t.Fatal(err)
		}
		words := LastWords(path)
		if len(words) > 310 || !utf8.ValidString(words) || strings.ContainsFunc(words, func(r rune) bool { return r < ' ' }) {
			t.Errorf("said %q", words)
		}
	})
}
