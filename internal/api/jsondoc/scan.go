package jsondoc

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Parse checks a whole document. The value keeps doc. The error is a
// *SyntaxError or wraps ErrRefused.
func Parse(doc []byte) (Value, error) {
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(doc) {
		return Value{}, fmt.Errorf("%w: it is not UTF-8", ErrRefused)
	}
	s := scanner{doc: doc}
	start := s.space(0)
	end, err := s.value(start, 0)
	if err != nil {
		return Value{}, err
	}
	if rest := s.space(end); rest < len(doc) {
		return Value{}, s.wrong("Extra data", rest)
	}
	return Value{doc[start:end]}, nil
}

// scanner checks a document; positions are offsets in bytes.
type scanner struct{ doc []byte }

func (s scanner) wrong(msg string, at int) error {
	return &SyntaxError{Msg: msg, Pos: utf8.RuneCount(s.doc[:at])}
}

func (s scanner) at(i int) byte {
	if i < len(s.doc) {
		return s.doc[i]
	}
	return 0
}

func (s scanner) space(i int) int {
	for i < len(s.doc) && (s.doc[i] == ' ' || s.doc[i] == '\n' || s.doc[i] == '\t' || s.doc[i] == '\r') {
		i++
	}
	return i
}

// value checks the value that begins at i and answers its end.
func (s scanner) value(i, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, fmt.Errorf("%w: it is nested too deep", ErrRefused)
	}
	switch c := s.at(i); {
	case c == '{':
		return s.object(i, depth)
	case c == '[':
		return s.array(i, depth)
	case c == '"':
		return s.text(i)
	case c == '-' || '0' <= c && c <= '9':
		return s.number(i)
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.doc[i:], []byte(word)) {
			return i + len(word), nil
		}
	}
	return 0, s.wrong("Expecting value", i)
}

func (s scanner) object(i, depth int) (int, error) {
	const noName = "Expecting property name enclosed in double quotes"
	i = s.space(i + 1)
	if s.at(i) == '}' {
		return i + 1, nil
	}
	seen := map[string]bool{}
	for {
		if s.at(i) != '"' {
			return 0, s.wrong(noName, i)
		}
		end, err := s.text(i)
		if err != nil {
			return 0, err
		}
		name, _ := unquote(s.doc[i:end])
		if seen[name] {
			return 0, s.wrong("Duplicate property name", i)
		}
		seen[name] = true
		if i = s.space(end); s.at(i) != ':' {
			return 0, s.wrong("Expecting ':' delimiter", i)
		}
		if i, err = s.value(s.space(i+1), depth+1); err != nil {
			return 0, err
		}
		i = s.space(i)
		switch s.at(i) {
		case '}':
			return i + 1, nil
		case ',':
			i = s.space(i + 1)
		default:
			return 0, s.wrong("Expecting ',' delimiter", i)
		}
	}
}

func (s scanner) array(i, depth int) (int, error) {
	i = s.space(i + 1)
	if s.at(i) == ']' {
		return i + 1, nil
	}
	for {
		end, err := s.value(i, depth+1)
		if err != nil {
			return 0, err
		}
		i = s.space(end)
		switch s.at(i) {
		case ']':
			return i + 1, nil
		case ',':
			i = s.space(i + 1)
		default:
			return 0, s.wrong("Expecting ',' delimiter", i)
		}
	}
}

// text checks the string that begins with the quote at start.
func (s scanner) text(start int) (int, error) {
	for i := start + 1; i < len(s.doc); i++ {
		switch c := s.doc[i]; {
		case c == '"':
			return i + 1, nil
		case c < 0x20:
			return 0, s.wrong("Invalid control character at", i)
		case c != '\\':
		case i+1 >= len(s.doc):
			return 0, s.wrong("Unterminated string starting at", start)
		case s.doc[i+1] == 'u':
			if _, ok := hex4(s.doc[i+2:]); !ok {
				return 0, s.wrong(`Invalid \uXXXX escape`, i+1)
			}
			i += 5
		case bytes.IndexByte([]byte(`"\/bfnrt`), s.doc[i+1]) < 0:
			return 0, s.wrong(`Invalid \escape`, i)
		default:
			i++
		}
	}
	return 0, s.wrong("Unterminated string starting at", start)
}

// number checks a number as far as it is one: what follows is another's problem.
func (s scanner) number(start int) (int, error) {
	i := start
	if s.at(i) == '-' {
		i++
	}
	first := i
	if s.at(i) == '0' {
		i++
	} else {
		i = s.digits(i)
	}
	if i == first {
		return 0, s.wrong("Expecting value", start)
	}
	whole := true
	if s.at(i) == '.' {
		if end := s.digits(i + 1); end > i+1 {
			i, whole = end, false
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		sign := i + 1
		if c := s.at(sign); c == '+' || c == '-' {
			sign++
		}
		if end := s.digits(sign); end > sign {
			i, whole = end, false
		}
	}
	if whole && i-first > MaxDigits {
		return 0, fmt.Errorf("%w: an integer is too long", ErrRefused)
	}
	return i, nil
}

func (s scanner) digits(i int) int {
	for '0' <= s.at(i) && s.at(i) <= '9' {
		i++
	}
	return i
}
