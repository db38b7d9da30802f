// Package vectors reads the files of this folder, for the tests of the Go client
// and of the server. README.md says what they hold.
package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Exchange is a call of a client, its request and the answer.
type Exchange struct {
	Head
	Request Request  `json:"request"`
	Answer  Answer   `json:"answer"`
	Error   *Failure `json:"error,omitempty"`
}

// Head is who calls what, where.
type Head struct {
	Name   string            `json:"name"`
	Given  string            `json:"given,omitempty"`
	Server *bool             `json:"server,omitempty"` // nil is true
	Client Client            `json:"client"`
	Beside map[string]string `json:"beside,omitempty"`
	Varies []string          `json:"varies,omitempty"`
	Call   string            `json:"call"`
	Args   json.RawMessage   `json:"args"`
}

// Ours reports an answer that a Tako server gives.
func (h *Head) Ours() bool { return h.Server == nil || *h.Server }

// Client says how the client is made.
type Client struct {
	APIKey        string `json:"api_key,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
}

// Request is what goes over the wire.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // escaped
	Query   map[string]string `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body,omitempty"`
	Form    []Part            `json:"form,omitempty"`
}

// Part is one of a multipart body.
type Part struct {
	Name        string `json:"name"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	Content     string `json:"content"`
}

// Answer has at most one of Body, Raw and Binary.
type Answer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body,omitempty"`
	Raw     string            `json:"raw,omitempty"`
	Binary  []byte            `json:"raw_base64,omitempty"`
	Cut     bool              `json:"cut,omitempty"`
}

// Bytes are the body as it is sent.
func (a Answer) Bytes() []byte {
	if len(a.Body) > 0 {
		return a.Body
	}
	return append([]byte(a.Raw), a.Binary...)
}

// Failure is what the caller of a client is told.
type Failure struct {
	Kind          string `json:"kind"`
	Status        int    `json:"status"`
	Message       string `json:"message,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	RetryAfter    int    `json:"retry_after,omitempty"` // seconds
}

// Stream is a stream of events and what is read of it.
type Stream struct {
	Name   string  `json:"name"`
	Bytes  []byte  `json:"bytes_base64"`
	Times  int     `json:"times,omitempty"`
	Cuts   []int   `json:"cuts"`
	Log    []Event `json:"log,omitempty"`
	Frames []Frame `json:"frames"`
	Error  string  `json:"error,omitempty"`
}

// Frame is an event as it was sent.
type Frame struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Data string `json:"data"`
}

// Event is an event of a job's log.
type Event struct {
	Seq     int64           `json:"seq"`
	At      string          `json:"at"` // RFC 3339
	Type    string          `json:"type"`
	Attempt int             `json:"attempt,omitempty"`
	Data    json.RawMessage `json:"data"`
}

// Reconnect is a reader of events whose connections break.
type Reconnect struct {
	Name        string       `json:"name"`
	Args        Follow       `json:"args"`
	Log         []Event      `json:"log"`
	Connections []Connection `json:"connections"`
	Events      []Seen       `json:"events"`
	Error       *Failure     `json:"error,omitempty"`
}

// Follow are the arguments of the call events.
type Follow struct {
	ID     string `json:"id"`
	After  string `json:"after,omitempty"`
	Follow *bool  `json:"follow,omitempty"` // nil is true
}

// Connection is a request and its answer. An empty header must not be there.
type Connection struct {
	Request Request `json:"request"`
	Answer  Answer  `json:"answer"`
}

// Seen is an event that the reader is given.
type Seen struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
}

// Webhook is a delivery as a receiver sees it.
type Webhook struct {
	Name      string `json:"name"`
	Secret    string `json:"secret"`
	Body      string `json:"body"`
	Header    string `json:"header"`
	Now       int64  `json:"now"`                 // seconds since 1970
	Tolerance int64  `json:"tolerance,omitempty"` // seconds; 0 is the default
	SignedAt  int64  `json:"signed_at,omitempty"` // the header is what a server sends then
	Error     string `json:"error,omitempty"`     // signature or stale
}

// Read reads a file of vectors.
func Read[T any](file string) ([]T, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var all []T
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}
