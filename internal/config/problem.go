package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Problem is one thing that is wrong. Msg never repeats a value.
type Problem struct {
	Field string // the key, "job_types[0].timeout"; empty when the file as a whole is wrong
	Msg   string
}

func (p Problem) String() string {
	if p.Field == "" {
		return p.Msg
	}
	return "field " + p.Field + ": " + p.Msg
}

// Problems is everything that is wrong with a configuration. errors.As finds
// it in the error of Load and Validate.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return "Invalid configuration: " + strings.Join(lines, "; ")
}

func problem(field, format string, args ...any) Problems {
	return Problems{{Field: field, Msg: fmt.Sprintf(format, args...)}}
}

// plainName is what a key may look like to be repeated in an error. What does
// not is more likely a value in the wrong place.
var plainName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`) })

// unknownKey is the problem of a key that no table has.
func unknownKey(prefix, key string, known []string) Problems {
	if !plainName().MatchString(key) {
		return problem(strings.TrimSuffix(prefix, "."), "a key that is not a plain name")
	}
	if near := Nearest(key, known); near != "" {
		return problem(prefix+key, "unknown key; did you mean %s?", near)
	}
	return problem(prefix+key, "unknown key")
}

// Nearest answers the known name with the fewest edits from key, or nothing
// where all are too far to be meant.
func Nearest(key string, known []string) string {
	best, fewest := "", max(2, len(key)/3)+1
	for _, name := range known {
		if d := distance(key, name); d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			replaced := previous[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(previous[j+1]+1, row[j]+1, replaced)
		}
	}
	return row[len(b)]
}
