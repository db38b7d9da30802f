package job

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. The set is closed: one table
// maps kinds to exit codes and, at the API's edge, to HTTP.
type Kind string

const (
	KindInvalid     Kind = "invalid"     // the caller's request is wrong
	KindNotFound    Kind = "not_found"   // what the caller named is not there
	KindConfig      Kind = "config"      // the operator's configuration is wrong
	KindUnavailable Kind = "unavailable" // the host cannot do it now: no isolation, no disk
	KindUnsupported Kind = "unsupported" // this version cannot do it
	KindDependency  Kind = "dependency"  // packages or an image cannot be had as asked
	KindEngine      Kind = "engine"      // the isolation engine failed
	KindInternal    Kind = "internal"    // a defect of tako; hidden from callers
)

// Error is the one error type with meaning across packages: a kind, one line
// for the caller and, where there is one, the mend.
type Error struct {
	Kind Kind
	Msg  string // names the thing that is wrong
	Hint string // the mend, one line; may be empty

	cause error // for errors.Is and errors.As; its text is part of Msg
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error of kind k. A %w verb keeps its operand as the cause
// for errors.Is and errors.As.
func Errorf(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Msg: err.Error(), cause: errors.Unwrap(err)}
}

// WithHint returns e with the mend set.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// KindOf returns the kind of the first Error in err's chain; an error without
// one is internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
