package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// forms are the ways in which a value is looked for.
func forms(value string) [][]byte {
	list := [][]byte{[]byte(value)}
	for _, text := range append(quoted(value), percented(value)...) {
		list = append(list, []byte(text))
	}
	for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			list = append(list, inner(alphabet, offset, value))
		}
	}
	return list
}

const (
	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"
)

// quoted is a value as encoders of JSON write it between quotes: what they have
// to escape, and what some escape beside that. These are Go and Python (without
// and with HTML's characters), PHP (the slash), Gson (HTML's, = and ') and .NET
// (all of those and + and `, in upper case).
func quoted(value string) (list []string) {
	for _, also := range []struct {
		chars string
		form  string // of fmt, for a rune
	}{{"", ""}, {"<>&", `\u%04x`}, {"/", `\%c`}, {"<>&='", `\u%04x`}, {"<>&'+`", `\u%04X`}, {"<>&'+`\"", `\u%04X`}} {
		var b strings.Builder
		for _, c := range value {
			switch {
			case strings.ContainsRune(also.chars, c):
				fmt.Fprintf(&b, also.form, c)
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteRune(c)
			default:
				b.WriteRune(c)
			}
		}
		list = append(list, b.String())
	}
	if text, err := json.Marshal(value); err == nil { // control characters, which no secret has, and others may
		list = append(list, string(text[1:len(text)-1]))
	}
	return list
}

// percented is a value percent-encoded: all but the unreserved characters of RFC
// 3986, with what encoders leave beside them. These are Python's quote (the slash),
// JavaScript's encodeURIComponent and encodeURI, and forms, with + for a space.
func percented(value string) (list []string) {
	for _, left := range []string{"", "/", "!'()*", "!'()*;,/?:@&=+$#", "*"} {
		for _, digits := range []string{upperHex, lowerHex} {
			text := percent(value, left, digits)
			list = append(list, text, strings.ReplaceAll(text, "%20", "+"))
		}
	}
	return list
}

// percent encodes all but the unreserved characters and those of left.
func percent(value, left, digits string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', strings.IndexByte("-._~"+left, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// inner are the characters of base64 that a value decides alone where offset
// bytes of a group of three stand before it.
func inner(alphabet *base64.Encoding, offset int, value string) []byte {
	text := alphabet.EncodeToString(append(make([]byte, offset), value...))
	first := (offset*8 + 5) / 6 // a character has six bits
	last := (offset + len(value)) * 8 / 6
	return []byte(text)[first:last]
}
