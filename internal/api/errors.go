package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

var (
	// ErrNotEnded refuses what is for jobs that have ended.
	ErrNotEnded = errors.New("the job has not ended")
	// ErrNoReplay is answered where a job cannot be run again, because
	// something that it was given is gone.
	ErrNoReplay = errors.New("the job's inputs are gone")
	// ErrExists refuses a second thing of a name.
	ErrExists = errors.New("it exists already")
)

// ItemError says which item of a batch is wrong.
type ItemError struct {
	Index int // from 0
	Err   error
}

func (e *ItemError) Error() string { return fmt.Sprintf("item %d: %v", e.Index, e.Err) }
func (e *ItemError) Unwrap() error { return e.Err }

// statusError is an error that knows its answer.
type statusError struct {
	status int
	detail string
	header http.Header // may be nil
	bare   bool        // without a correlation id: FastAPI's own answers
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.detail) }

func fail(status int, format string, args ...any) error {
	return &statusError{status: status, detail: fmt.Sprintf(format, args...)}
}

// problems are what is wrong with a request.
type problems []schema.Problem

func (p problems) Error() string { return fmt.Sprintf("%d problems with the request", len(p)) }

// words are what one route says where others say something else.
type words struct {
	notFound string // for store.ErrNotFound
	ended    string // 404, for store.ErrEnded
	notEnded string // 400, for ErrNotEnded
	exists   string // 409, for ErrExists
	away     string // 503, for job.KindUnavailable, where its reason is the operator's
	failed   string // goes before the reason of an engine's failure
}

const internalError = "Internal server error."

// row of the table from errors to HTTP.
type row struct {
	is     error
	status int
	detail func(w words) string
}

func says(text string) func(words) string { return func(words) string { return text } }

// sentinels is the table. What is not in it goes by job.Kind.
func sentinels() []row {
	return []row{
		{store.ErrNotFound, http.StatusNotFound, func(w words) string { return w.notFound }},
		{store.ErrEnded, http.StatusNotFound, func(w words) string { return w.ended }},
		{store.ErrQueueFull, http.StatusServiceUnavailable, says("Job queue is full, try again later")},
		{store.ErrConflict, http.StatusConflict, says("Idempotency key reused with different payload")},
		{ErrNotEnded, http.StatusBadRequest, func(w words) string { return w.notEnded }},
		{ErrNoReplay, http.StatusBadRequest, says("Original input not available for replay")},
		{ErrExists, http.StatusConflict, func(w words) string { return w.exists }},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, says("The server is too busy, try again later")},
		{context.Canceled, http.StatusServiceUnavailable, says("The request was cancelled")},
	}
}

// translate answers what a caller is told of err, and whether the log should
// have more of it.
func translate(err error, w words) (answer *statusError, log bool) {
	var own *statusError
	if errors.As(err, &own) {
		return own, false
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return payloadTooLarge(tooLarge.Limit), false
	}
	for _, r := range sentinels() {
		if !errors.Is(err, r.is) {
			continue
		}
		if detail := r.detail(w); detail != "" {
			return &statusError{status: r.status, detail: detail}, false
		}
		break
	}
	var known *job.Error
	if errors.As(err, &known) {
		return translateKind(known, w)
	}
	return &statusError{status: http.StatusInternalServerError, detail: internalError}, true
}

// translateKind is the table from kinds to HTTP. Hints are for the operator and
// are not shown.
func translateKind(err *job.Error, w words) (answer *statusError, log bool) {
	switch err.Kind {
	case job.KindInvalid, job.KindDependency:
		return &statusError{status: http.StatusUnprocessableEntity, detail: err.Msg}, false
	case job.KindNotFound:
		return &statusError{status: http.StatusNotFound, detail: err.Msg}, false
	case job.KindUnavailable:
		return &statusError{status: http.StatusServiceUnavailable, detail: or(w.away, err.Msg)}, true
	case job.KindUnsupported: // and not 503: later is no better
		return &statusError{status: http.StatusNotImplemented, detail: err.Msg}, false
	case job.KindConfig, job.KindEngine:
		if w.failed != "" {
			return &statusError{status: http.StatusInternalServerError, detail: w.failed + err.Msg}, true
		}
	}
	return &statusError{status: http.StatusInternalServerError, detail: internalError}, true
}

func payloadTooLarge(limit int64) *statusError {
	return &statusError{status: http.StatusRequestEntityTooLarge,
		detail: fmt.Sprintf("Payload too large. Maximum allowed size is %d bytes.", limit)}
}

// itemProblems tells of an item of a batch what translate tells of a request.
func itemProblems(e *ItemError) (problems, bool) {
	answer, _ := translate(e.Err, words{})
	if answer.status != http.StatusUnprocessableEntity {
		return nil, false
	}
	return problems{schema.Invalid(wire.Sanitize(answer.detail), json.RawMessage("null"), "body", "items", e.Index)}, true
}
