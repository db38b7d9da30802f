package mcp

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Transport makes requests of an API in the same process, on behalf of another
// request: with its address, its host and the headers that say who calls.
type Transport struct {
	API http.Handler
	For *http.Request
	// Headers of For that are passed on.
	Headers []string
}

// RoundTrip answers when the answer begins; its body comes as it is written.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.RemoteAddr, r.Host = t.For.RemoteAddr, t.For.Host
	for _, name := range t.Headers {
		if values := t.For.Header.Values(name); len(values) > 0 {
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, out := io.Pipe()
	w := &answer{header: http.Header{}, out: out, began: make(chan struct{})}
	go func() {
		defer func() {
			if recover() != nil { // http.ErrAbortHandler: the API has logged why
				_ = out.CloseWithError(io.ErrUnexpectedEOF)
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		t.API.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = out.Close()
	}()
	select {
	case <-w.began:
	case <-r.Context().Done():
		_ = body.Close() // writes fail from here on
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: w.status, Status: http.StatusText(w.status), Header: w.sent, Body: body, ContentLength: lengthOf(w.sent), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// lengthOf is how long an answer says it is; -1 where it does not.
func lengthOf(h http.Header) int64 {
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		return n
	}
	return -1
}

// answer is an http.ResponseWriter into a pipe.
type answer struct {
	header, sent http.Header
	out          *io.PipeWriter
	once         sync.Once
	began        chan struct{}
	status       int
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.began)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.out.Write(p)
}

// Flush has nothing to do: a write returns when it was read.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }
