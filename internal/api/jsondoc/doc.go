// Package jsondoc reads JSON of strangers without building it in memory. Parse
// looks at every byte of a document once; a Value is a part of the document that
// is known to be valid and that opens its members when it is asked. Numbers are
// never converted, so what passes through comes out as it went in.
//
// It refuses what JSON leaves open and what costs: names that occur twice in an
// object, nesting beyond MaxDepth, integers beyond MaxDigits, text that is not
// UTF-8, NaN and Infinity. Messages and positions of syntax errors are those of
// Python's json module, because clients have seen those.
package jsondoc

import (
	"errors"
	"fmt"
)

const (
	// MaxDepth is how deep arrays and objects may be nested.
	MaxDepth = 512
	// MaxDigits is how many digits an integer may have; Python's own limit.
	MaxDigits = 4300
)

// ErrRefused is of documents that are not read at all: not UTF-8, too deep, or
// with an integer that is too long.
var ErrRefused = errors.New("the document is refused")

// SyntaxError is where a document stops being JSON.
type SyntaxError struct {
	Msg string // as Python says it: "Expecting value"
	Pos int    // in characters, from 0
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: char %d", e.Msg, e.Pos) }

// Kind is what a value is.
type Kind byte

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)
