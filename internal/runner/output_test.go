package runner

import (
	"strings"
	"testing"
)

// An output that clients cannot decode would hide the other jobs of a list.
func TestOutputBounds(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	tests := []struct {
		name, data string
		note       string // a part of it; empty where the output is kept
	}{
		{"as deep as may be", nested(maxOutputDepth), ""},
		{"deeper", nested(maxOutputDepth + 1), "nested deeper"},
		{"deeper by objects", objects(maxOutputDepth + 1), "nested deeper"},
		{"side by side", "[" + strings.Repeat("[],", 5000) + "{}]", ""},
		{"brackets in text", `"` + strings.Repeat(`[\"{\\`, 5000) + `"`, ""},
		{"after text", `["\\",` + nested(maxOutputDepth) + "]", "nested deeper"},
		{"a long number", strings.Repeat("9", maxOutputNumber), ""},
		{"a longer one", `{"n": -` + strings.Repeat("9", maxOutputNumber) + "}", "a number of more"},
		{"many numbers", "[" + strings.Repeat("12345,", 5000) + "-1.5e-7]", ""},
		{"digits in text", `{"n": "` + strings.Repeat("9", 5000) + `"}`, ""},
		{"no JSON", "NaN", "not valid JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &run{result: Result{}}
			r.output([]byte(" " + tt.data + "\n"))
			kept := string(r.result.Output) == tt.data && r.result.OutputNote == ""
			if kept != (tt.note == "") || !strings.Contains(r.result.OutputNote, tt.note) {
				t.Errorf("%d bytes are kept, %q", len(r.result.Output), r.result.OutputNote)
			}
		})
	}
}
