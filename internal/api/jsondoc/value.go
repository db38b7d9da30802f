package jsondoc

import (
	"encoding/json"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is a valid part of a document. The zero value is not a value.
type Value struct{ raw []byte }

// Raw is the value as it was written. It is not to be changed.
func (v Value) Raw() json.RawMessage { return json.RawMessage(v.raw) }

// Kind says what the value is.
func (v Value) Kind() Kind {
	switch v.raw[0] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	return Number
}

// Bool is the value of a Bool.
func (v Value) Bool() bool { return v.raw[0] == 't' }

// Text decodes a String. It is not valid where an escape is half a character.
func (v Value) Text() (text string, valid bool) { return unquote(v.raw) }

// Members are the names and values of an Object, in their order.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		s := scanner{doc: v.raw}
		for i := s.space(1); s.at(i) == '"'; {
			end, _ := s.text(i)
			name, _ := unquote(s.doc[i:end])
			start := s.space(s.space(end) + 1)
			end = s.skip(start)
			if !yield(name, Value{s.doc[start:end]}) {
				return
			}
			if i = s.space(end); s.at(i) == ',' {
				i = s.space(i + 1)
			}
		}
	}
}

// Items are the values of an Array.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		s := scanner{doc: v.raw}
		for i := s.space(1); i < len(s.doc) && s.doc[i] != ']'; {
			end := s.skip(i)
			if !yield(Value{s.doc[i:end]}) {
				return
			}
			if i = s.space(end); s.at(i) == ',' {
				i = s.space(i + 1)
			}
		}
	}
}

// skip answers the end of the value at i, which is known to be valid.
func (s scanner) skip(i int) int {
	depth := 0
	for {
		switch c := s.at(i); c {
		case '"':
			i, _ = s.text(i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			i++
		default:
			for i < len(s.doc) && !isEnd(s.doc[i]) {
				i++
			}
		}
		if depth == 0 || i >= len(s.doc) {
			return i
		}
	}
}

// isEnd reports what ends a number or a word.
func isEnd(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\n', '\t', '\r':
		return true
	}
	return false
}

// unquote decodes a valid string with its quotes.
func unquote(raw []byte) (text string, valid bool) {
	raw = raw[1 : len(raw)-1]
	valid = true
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch c := raw[i]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, size, whole := escaped(raw[i:])
			valid = valid && whole
			out = utf8.AppendRune(out, r)
			i += size - 1
		default:
			out = append(out, c)
		}
	}
	return string(out), valid
}

// escaped decodes what begins with the u of \uXXXX, a pair of them included. Half
// a pair is not whole and answered as the replacement character.
func escaped(raw []byte) (r rune, size int, whole bool) {
	r, _ = hex4(raw[1:])
	if !utf16.IsSurrogate(r) {
		return r, 5, true
	}
	if len(raw) >= 11 && raw[5] == '\\' && raw[6] == 'u' {
		low, _ := hex4(raw[7:])
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, 11, true
		}
	}
	return utf8.RuneError, 5, false
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 + rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 + rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 + rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
