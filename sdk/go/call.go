package tako

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one operation of the API.
type call struct {
	method string
	path   string // escaped
	query  url.Values
	header http.Header
	body   any // sent as JSON; nil is no body
	// content is a body of another type, which can be read once.
	content     io.Reader
	contentType string
	repeat      bool // it may be sent again
	once        bool // it is not sent again, although it only reads
	// within bounds the call; 0 is Options.Timeout, less than 0 nothing.
	within time.Duration
}

// forever is for calls that only their context bounds.
const forever = time.Duration(-1)

func get(path string, query url.Values) call {
	return call{method: http.MethodGet, path: path, query: query, repeat: true}
}

func post(path string, body any) call { return call{method: http.MethodPost, path: path, body: body} }

func remove(path string) call { return call{method: http.MethodDelete, path: path} }

// answer is an answer that went well, with its body still to be read.
type answer struct {
	*http.Response
	clock  *time.Timer // ends the call; nil for no bound
	cancel context.CancelCauseFunc
	ctx    context.Context // the caller's
	url    string
}

// Close ends reading.
func (a *answer) Close() error {
	a.untimed()
	err := a.Body.Close()
	a.cancel(nil)
	return err
}

// untimed lets the body take as long as it takes.
func (a *answer) untimed() {
	if a.clock != nil {
		a.clock.Stop()
	}
}

// answerOf makes a call and decodes its answer.
func answerOf[T any](ctx context.Context, c *Client, q call) (*T, error) {
	return checked(ctx, c, q, func(*T) string { return "" })
}

// checked is answerOf for an answer without which the caller could do nothing.
// lacks says what is not there, or nothing.
func checked[T any](ctx context.Context, c *Client, q call, lacks func(*T) string) (*T, error) {
	into := new(T)
	err := c.repeated(ctx, q, func() error {
		a, err := c.send(ctx, q)
		if err != nil {
			return err
		}
		defer a.Close()
		if err := a.decode(into); err != nil {
			return err
		}
		if what := lacks(into); what != "" {
			return a.malformed("%s", what)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return into, nil
}

// open makes a call whose answer is read by the caller.
func (c *Client) open(ctx context.Context, q call) (a *answer, err error) {
	err = c.repeated(ctx, q, func() error {
		a, err = c.send(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.untimed()
	return a, nil
}

// repeated does what may be repeated as often as it may.
func (c *Client) repeated(ctx context.Context, q call, try func() error) error {
	for n := 0; ; n++ {
		err := try()
		if err == nil || !q.repeat || q.once || n >= c.options.Retries || !temporary(err) {
			return err
		}
		wait := pauseAfter(err, n)
		if wait > maxPause {
			return err
		}
		if !sleep(ctx, wait) {
			return ended(ctx, err)
		}
	}
}

// pauseAfter is how long to wait after failure n, from 0: what the server says,
// else a tenth of a second, doubled each time and a little at random, so that
// clients do not come back together.
func pauseAfter(err error, n int) time.Duration {
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	wait := min(100*time.Millisecond<<min(n, 10), 5*time.Second)
	return wait*3/4 + rand.N(wait/2)
}

// sleep reports whether ctx went on meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errSilent is the cause of a call's end when it took too long.
var errSilent = errors.New("no answer in time")

// send makes a call once. What is not 2xx is an *Error.
func (c *Client) send(ctx context.Context, q call) (*answer, error) {
	inner, cancel := context.WithCancelCause(ctx)
	a := &answer{cancel: cancel, ctx: ctx}
	req, err := c.request(inner, q)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	a.url = req.URL.Redacted()
	if within := c.within(q); within > 0 {
		a.clock = time.AfterFunc(within, func() { cancel(errSilent) })
	}
	if a.Response, err = c.http.Do(req); err != nil {
		a.untimed()
		err = c.unreachable(inner, ctx, err)
		cancel(nil)
		return nil, err
	}
	if a.StatusCode >= http.StatusOK && a.StatusCode < http.StatusMultipleChoices {
		return a, nil
	}
	defer a.Close()
	return nil, a.failure()
}

func (c *Client) within(q call) time.Duration {
	if q.within != 0 {
		return q.within
	}
	return c.options.Timeout
}

func (c *Client) request(ctx context.Context, q call) (*http.Request, error) {
	body, contentType := q.content, q.contentType
	if q.body != nil {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(q.body); err != nil {
			return nil, invalid("the request cannot be written as JSON: %v", err)
		}
		body, contentType = &text, "application/json"
	}
	address := strings.TrimSuffix(c.base.String(), "/") + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, address, body)
	if err != nil {
		return nil, invalid("the request cannot be made: %s %s", q.method, q.path)
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Content-Type", contentType)
	set("User-Agent", c.options.UserAgent)
	set("X-Correlation-ID", c.options.CorrelationID)
	if c.options.APIKey != "" {
		set("Authorization", "Bearer "+c.options.APIKey)
	}
	return req, nil
}

// unreachable is the error of a call without a whole answer; the context's where
// that ended it.
func (c *Client) unreachable(inner, outer context.Context, err error) error {
	if outer.Err() != nil {
		return fmt.Errorf("calling %s: %w", c.URL(), outer.Err())
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // it names the URL again, with its query
	}
	if context.Cause(inner) == errSilent {
		err = errSilent
	}
	return &Error{Detail: fmt.Sprintf("%s cannot be reached: %v", c.URL(), err), kind: ErrUnreachable, cause: err}
}

// decode reads an answer in JSON into a value.
func (a *answer) decode(into any) error {
	body, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer+1))
	switch {
	case err != nil:
		return a.cut(err)
	case len(body) > maxAnswer:
		return a.malformed("it is longer than %d MiB", maxAnswer>>20)
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || string(trimmed) == "null" {
		return a.malformed("it is empty")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return a.malformed("it is %s and not the JSON that was expected", or(a.Header.Get("Content-Type"), "of no type"))
	}
	return nil
}

// malformed is the error of an answer that makes no sense.
func (a *answer) malformed(format string, args ...any) error {
	return &Error{Status: a.StatusCode, CorrelationID: a.Header.Get("X-Correlation-ID"), kind: ErrMalformed,
		Detail: fmt.Sprintf("%s does not answer as a Tako server: %s", a.url, fmt.Sprintf(format, args...))}
}

// failure makes an error of an answer that is none of success.
func (a *answer) failure() error {
	e := &Error{Status: a.StatusCode, kind: kindOf(a.StatusCode), RetryAfter: retryAfter(a.Header, time.Now()),
		CorrelationID: a.Header.Get("X-Correlation-ID")}
	if to := a.Header.Get("Location"); to != "" && a.StatusCode < http.StatusBadRequest {
		e.Detail = fmt.Sprintf("%s redirects to %s: use that URL", a.url, to)
		return e
	}
	body, _ := io.ReadAll(io.LimitReader(a.Body, maxErrorAnswer)) // what there is of it
	var known struct {
		Detail        json.RawMessage `json:"detail"`
		CorrelationID string          `json:"correlation_id"`
	}
	if err := json.Unmarshal(body, &known); err != nil || len(known.Detail) == 0 {
		e.Detail = fmt.Sprintf("%s answers with %s and no reason that a Tako server gives", a.url, http.StatusText(a.StatusCode))
		return e
	}
	e.CorrelationID = or(known.CorrelationID, e.CorrelationID)
	if json.Unmarshal(known.Detail, &e.Detail) == nil {
		if known.CorrelationID == "" && noRoute(a.StatusCode, e.Detail) {
			e.kind = ErrUnsupported
			e.Detail += ": " + a.url + " does not know this call; it may be of another version"
		}
		return e
	}
	if json.Unmarshal(known.Detail, &e.Problems) != nil || len(e.Problems) == 0 {
		e.Detail = string(known.Detail)
		return e
	}
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Where() + ": " + p.Msg
	}
	e.Detail = strings.Join(lines, "; ")
	return e
}

// noRoute reports a server's word on a path or method that it does not have.
func noRoute(status int, detail string) bool {
	return status == http.StatusNotFound && detail == "Not Found" || status == http.StatusMethodNotAllowed && detail == "Method Not Allowed"
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
