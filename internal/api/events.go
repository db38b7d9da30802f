package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/job"
)

// cursorPattern is of what this server gives out as cursors: sequence numbers.
// Callers are told nothing of that.
func cursorPattern() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,18}$`) }

// events streams a job's log as Server-Sent Events (WHATWG HTML, section 9.2).
func (c *call) events() error {
	after, err := c.cursor()
	if err != nil {
		return err
	}
	r, err := c.found("job_id")
	if err != nil {
		return err
	}
	follow := true
	if v := c.query["follow"]; v.Has() {
		follow = v.Bool()
	}
	return c.stream(func(ctx context.Context, emit func(job.Event)) error {
		for e, err := range c.api.service.Events(ctx, c.principal, r.ID, after, follow) {
			if err != nil || ctx.Err() != nil {
				return err
			}
			emit(e)
		}
		return nil
	})
}

// stream answers with the events that source has, until it returns.
func (c *call) stream(source func(ctx context.Context, emit func(job.Event)) error) error {
	c.patient()
	ctx, cancel := context.WithCancel(c.r.Context())
	s := &stream{call: c, events: make(chan job.Event, 64), failed: make(chan error, 1)}
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		s.pump(ctx, source)
	}()
	defer func() { cancel(); <-pumped }()
	return s.send(ctx)
}

// cursor is where to go on: the header is what an EventSource sends by itself.
func (c *call) cursor() (int64, error) {
	v := c.query["after"]
	if text := c.r.Header.Get("Last-Event-ID"); text != "" {
		var wrong []schema.Problem
		t := schema.Type{Kind: schema.String, Pattern: cursorPattern()}
		if v, wrong = schema.CheckText(&t, validText(text), "header", "last-event-id"); len(wrong) > 0 {
			return 0, problems(wrong)
		}
	}
	if !v.Has() {
		return 0, nil
	}
	n, err := strconv.ParseInt(v.Text(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading a cursor that fits its pattern: %w", err)
	}
	return n, nil
}

// stream is one answer of events.
type stream struct {
	*call
	events chan job.Event // closed after the last one
	failed chan error     // why it was the last one
	buf    bytes.Buffer
}

// pump takes events as they come, so that silence between them can be told.
func (s *stream) pump(ctx context.Context, source func(ctx context.Context, emit func(job.Event)) error) {
	defer close(s.events)
	defer func() {
		if p := recover(); p != nil { // not of the request's goroutine: it would end the server
			s.failed <- fmt.Errorf("reading events panicked: %v\n%s", p, debug.Stack())
		}
	}()
	err := source(ctx, func(e job.Event) {
		select {
		case s.events <- e:
		case <-ctx.Done():
		}
	})
	if err != nil {
		s.failed <- err
	}
}

// send writes what pump takes, and a comment where there is nothing: proxies
// close what is silent.
func (s *stream) send(ctx context.Context) error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // of nginx
	s.w.WriteHeader(http.StatusOK)
	if err := s.flush(); err != nil {
		return err
	}
	silence := time.NewTicker(s.api.options.KeepAlive)
	defer silence.Stop()
	for {
		select {
		case e, more := <-s.events:
			if !more {
				return s.end(ctx)
			}
			s.write(e)
			if err := s.drain(); err != nil {
				return err
			}
			silence.Reset(s.api.options.KeepAlive)
		case <-silence.C:
			s.buf.WriteString(": still here\n\n")
			if err := s.flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			return errors.Join(s.drain(), ctx.Err()) // what came before the stop is not lost
		}
	}
}

// end says whether the last event was one. What could not be read, or is not any
// more because the server stops, is cut off: a client that sees a clean end
// believes that there is no more.
func (s *stream) end(ctx context.Context) error {
	select {
	case err := <-s.failed:
		return err
	default:
	}
	if err := s.flush(); err != nil {
		return err
	}
	return ctx.Err()
}

// drain adds what came meanwhile, and sends it.
func (s *stream) drain() error {
	for s.buf.Len() < 64<<10 {
		select {
		case e, more := <-s.events:
			if !more {
				return s.flush()
			}
			s.write(e)
			continue
		default:
		}
		break
	}
	return s.flush()
}

// write adds an event. Its data is one line, however it was stored.
func (s *stream) write(e job.Event) {
	fmt.Fprintf(&s.buf, "id: %d\nevent: %s\ndata: {\"ts\":%q,\"attempt\":%d", e.Seq, e.Type, e.At.UTC().Format(nanoTime), e.Attempt)
	var data bytes.Buffer
	if err := json.Compact(&data, e.Data); err == nil && data.Len() > 2 && data.Bytes()[0] == '{' {
		s.buf.WriteByte(',')
		s.buf.Write(data.Bytes()[1:])
	} else {
		s.buf.WriteByte('}')
	}
	s.buf.WriteString("\n\n")
}

// nanoTime is RFC 3339 with all nine digits.
const nanoTime = "2006-01-02T15:04:05.000000000Z07:00"

func (s *stream) flush() error {
	s.hurry()
	if s.buf.Len() > 0 {
		if _, err := s.w.Write(s.buf.Bytes()); err != nil {
			return fmt.Errorf("sending events: %w", err)
		}
		s.buf.Reset()
	}
	if err := http.NewResponseController(s.w).Flush(); err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	return nil
}
