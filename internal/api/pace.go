package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// leastRate is how fast a client has to send or read what is long, on average,
// in bytes a second, after the first minute.
const leastRate = 8 << 10

// pace bounds the time that a client takes over something long: each stall by
// writeFor, and all of it by the least rate, or one byte a minute would hold a
// connection for as long as somebody likes. What the server takes itself, over a
// disk or a bucket, does not count.
type pace struct {
	deadline func(time.Time) error
	spent    time.Duration // waiting for the client
	moved    int64
}

// move does one read or write in the time that the client has for it.
func (p *pace) move(do func() (int, error)) (int, error) {
	began := time.Now()
	left := writeFor + time.Duration(p.moved/leastRate)*time.Second - p.spent
	_ = p.deadline(began.Add(min(writeFor, left))) // not every connection can
	n, err := do()
	p.spent += time.Since(began)
	p.moved += int64(n)
	return n, err
}

// slowReader is a body whose sender keeps a pace.
type slowReader struct {
	io.ReadCloser
	pace
}

func (r *slowReader) Read(b []byte) (int, error) {
	n, err := r.move(func() (int, error) { return r.ReadCloser.Read(b) })
	if errors.Is(err, io.EOF) {
		_ = r.deadline(time.Time{}) // it would end the context of what is left to do
	}
	return n, err
}

// slowWriter is an answer whose reader keeps a pace.
type slowWriter struct {
	http.ResponseWriter
	pace
}

// Write sends pieces, so that a deadline is of one of them.
func (w *slowWriter) Write(b []byte) (n int, err error) {
	for err == nil && n < len(b) {
		piece := b[n:min(len(b), n+32<<10)]
		var m int
		m, err = w.move(func() (int, error) { return w.ResponseWriter.Write(piece) })
		n += m
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// slowBody gives whoever sends a long body the time for it.
func (c *call) slowBody() {
	c.patient()
	c.r.Body = &slowReader{c.r.Body, pace{deadline: http.NewResponseController(c.w).SetReadDeadline}}
}

// slowAnswer is where a long answer is written.
func (c *call) slowAnswer() http.ResponseWriter {
	c.patient()
	return &slowWriter{c.w, pace{deadline: http.NewResponseController(c.w).SetWriteDeadline}}
}

// unread is the answer to a body that cannot be read to its end.
func unread(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fail(http.StatusRequestTimeout, "The body took too long")
	}
	return fail(http.StatusBadRequest, "There was an error parsing the body")
}
