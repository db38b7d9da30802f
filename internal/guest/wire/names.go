package wire

import "unicode/utf8"

const (
	// MaxPath is the longest path, in bytes.
	MaxPath = 4096
	// MaxPart is the longest part of a path, in bytes.
	MaxPart = 255
)

// ValidPart reports whether name may be a part of a collected file's name:
// UTF-8 without control characters, at most MaxPart bytes, not hidden (which
// excludes "." and "..") and without a separator.
func ValidPart(name string) bool {
	if name == "" || len(name) > MaxPart || name[0] == '.' || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == '/' {
			return false
		}
	}
	return true
}

// ValidName reports whether name is a collected file's name: valid parts with
// '/' between them, at most MaxPath bytes. The init sends no other and the
// host believes no other.
func ValidName(name string) bool {
	if len(name) > MaxPath {
		return false
	}
	for {
		part, rest, more := cut(name)
		if !ValidPart(part) {
			return false
		}
		if !more {
			return true
		}
		name = rest
	}
}

// Depth is the number of directories above the file that name names.
func Depth(name string) int {
	n := 0
	for i := range len(name) {
		if name[i] == '/' {
			n++
		}
	}
	return n
}

// SplitPath cuts an absolute path where the host may write into its parts, the
// root first. It reports false for a path outside the writable roots, for a
// root itself, and for one with "", "." or ".." in it, a NUL, or a part or
// length over the bounds.
func SplitPath(path string) ([]string, bool) {
	if len(path) < 2 || len(path) > MaxPath || path[0] != '/' {
		return nil, false
	}
	var parts []string
	for rest, more := path[1:], true; more; {
		var part string
		part, rest, more = cut(rest)
		if part == "" || part == "." || part == ".." || len(part) > MaxPart || hasNUL(part) {
			return nil, false
		}
		parts = append(parts, part)
	}
	if len(parts) < 2 {
		return nil, false
	}
	switch parts[0] {
	case "code", "input", "app", "tmp", "output":
		return parts, true
	}
	return nil, false
}

func cut(s string) (part, rest string, more bool) {
	for i := range len(s) {
		if s[i] == '/' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func hasNUL(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}
