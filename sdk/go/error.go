package tako

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kinds of errors, for errors.Is.
var (
	// ErrUnreachable: there is no answer. Whether the server did what it was
	// asked to cannot be told.
	ErrUnreachable = errors.New("the server cannot be reached")
	// ErrMalformed: there is an answer that no Tako server gives.
	ErrMalformed = errors.New("the answer is not that of a Tako server")
	// ErrInvalid: the request is wrong (400, 412, 413, 415, 416, 422).
	ErrInvalid = errors.New("the request is not valid")
	// ErrUnauthorized: the API key is missing or wrong (401).
	ErrUnauthorized = errors.New("the API key is missing or wrong")
	// ErrForbidden: the API key may not do this (403).
	ErrForbidden = errors.New("the API key may not do this")
	// ErrNotFound: it is not there, or belongs to another key (404).
	ErrNotFound = errors.New("not found")
	// ErrUnsupported: the server does not know this call (404, 405). It is of
	// another version, or Tako VM.
	ErrUnsupported = errors.New("the server does not know this call")
	// ErrTimeout: the job has not ended in the time that was waited for (408).
	ErrTimeout = errors.New("the job has not ended yet")
	// ErrConflict: the idempotency key was used for something else, or the name
	// is taken (409).
	ErrConflict = errors.New("conflict")
	// ErrRateLimited: too many requests (429).
	ErrRateLimited = errors.New("too many requests")
	// ErrUnavailable: the server, or what is between, cannot do it now (502,
	// 503, 504). A full queue is one reason.
	ErrUnavailable = errors.New("not available now")
	// ErrServer: the server failed (500), or cannot do it at all (501).
	ErrServer = errors.New("the server failed")
)

// Error is why a call failed.
type Error struct {
	// Status is the HTTP status; 0 where there was no answer.
	Status int
	// Detail is one line of what is wrong, mostly the server's own.
	Detail string
	// CorrelationID finds the call in the server's log; empty without an answer.
	CorrelationID string
	// Problems are those of a request that does not fit its schema (422).
	Problems []Problem
	// RetryAfter is how long the server wants to be left alone; 0 where it does
	// not say.
	RetryAfter time.Duration

	kind  error
	cause error // may be nil
}

// Problem is one thing that is wrong with a request.
type Problem struct {
	Type string `json:"type"`
	Loc  []any  `json:"loc"` // names and indexes, from the outside in
	Msg  string `json:"msg"`
}

// Where is the path to what is wrong, such as "body.items.0.code".
func (p Problem) Where() string {
	parts := make([]string, len(p.Loc))
	for i, part := range p.Loc {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, ".")
}

// Error is the detail, with the status where there is one.
func (e *Error) Error() string {
	if e.Status == 0 {
		return e.Detail
	}
	return e.Detail + " (HTTP " + strconv.Itoa(e.Status) + ")"
}

// Is reports whether target is the kind of e.
func (e *Error) Is(target error) bool { return e.kind == target }

// Unwrap answers what was behind it, such as the error of the connection.
func (e *Error) Unwrap() error { return e.cause }

// kindOf is the table from statuses to kinds.
func kindOf(status int) error {
	switch status {
	case http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity:
		return ErrInvalid
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusRequestTimeout:
		return ErrTimeout
	case http.StatusConflict:
		return ErrConflict
	case http.StatusTooManyRequests:
		return ErrRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ErrUnavailable
	}
	if status >= http.StatusInternalServerError {
		return ErrServer
	}
	return ErrMalformed
}

// temporary reports what may be over when the call is repeated.
func temporary(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited)
}

// invalid refuses what need not be sent.
func invalid(format string, args ...any) error {
	return &Error{Detail: fmt.Sprintf(format, args...), kind: ErrInvalid}
}

// retryAfter reads the header, seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(0, seconds), 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
