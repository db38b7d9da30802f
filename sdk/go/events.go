package tako

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// Event is what a job did or said.
type Event struct {
	// ID is where to go on after this event, see EventsOptions.After.
	ID   string    `json:"id"`
	Type EventType `json:"type"`
	// Time is when it happened.
	Time time.Time `json:"ts"`
	// Attempt counts from 0.
	Attempt int `json:"attempt"`
	// Data is the whole event as the server sent it, a JSON object.
	Data json.RawMessage `json:"data"`
}

// Bytes are what the program wrote, of EventStdout and EventStderr.
func (e Event) Bytes() ([]byte, error) {
	var data struct {
		Text *string `json:"text"`
		B64  string  `json:"b64"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil, eventError("output that is not understood")
	}
	if data.Text != nil {
		return []byte(*data.Text), nil
	}
	out, err := base64.StdEncoding.DecodeString(data.B64)
	if err != nil {
		return nil, eventError("output that is not base64")
	}
	return out, nil
}

// Status is where the job stands, of EventStatus and EventEnd; empty where the
// event does not say.
func (e Event) Status() Status {
	var data struct {
		Status Status `json:"status"`
	}
	_ = json.Unmarshal(e.Data, &data) // the other types need not have one
	return data.Status
}

// EventsOptions are all optional.
type EventsOptions struct {
	// After is the ID of an event: those after it are answered. Default: all.
	After string
	// Stored ends at the last event that is stored by now, instead of going on
	// with what happens.
	Stored bool
	// Patience is how long the server may be away: 2 minutes by default, as long
	// as the context lets it when negative.
	Patience time.Duration
}

// Events answers what a job does and says: what is stored, and then what
// happens, up to its EventEnd. A stream that breaks off, because the server is
// started again say, is resumed after the last event: none is answered twice
// and none is left out. An error is the last element.
func (c *Client) Events(ctx context.Context, id string, o EventsOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		path, err := pathOf("/jobs/", id, "/events")
		if err != nil {
			yield(Event{}, err)
			return
		}
		f := &follower{client: c, id: id, path: path, after: o.After, stored: o.Stored, yield: yield, patience: newPatience(o.Patience)}
		if err := f.run(ctx); err != nil && !f.left {
			yield(Event{}, err)
		}
	}
}

// follower reads a job's events over as many connections as it takes.
type follower struct {
	client   *Client
	id, path string
	after    string
	stored   bool
	yield    func(Event, error) bool
	patience *patience

	opened bool // a connection was had
	news   bool // the last connection had events
	ended  bool // the job had, before the last connection
	done   bool // there was the end event
	left   bool // the reader has had enough
}

// run returns at the end, or with why there is none.
func (f *follower) run(ctx context.Context) error {
	for {
		err := f.connection(ctx)
		if f.done || f.left {
			return nil
		}
		if err == nil {
			over, askErr := f.over(ctx)
			if over {
				return nil
			}
			err = askErr
		}
		if err != nil && (!f.opened || !temporary(err)) {
			return err
		}
		if f.ended && err == nil {
			continue // for what was said since
		}
		if err == nil {
			err = &Error{Detail: "the server ends the stream of events again and again", kind: ErrUnreachable}
		}
		if !f.patience.pause(ctx, err) {
			return ended(ctx, err)
		}
	}
}

// over is asked where a stream ended in order, but without the end event: the
// server stops, or there is nothing after the event to begin with.
func (f *follower) over(ctx context.Context) (bool, error) {
	if f.stored || f.ended && !f.news {
		return true, nil
	}
	s, err := f.client.Status(ctx, f.id)
	if err != nil {
		return false, err
	}
	f.ended = Status(s.Status).Terminal()
	return false, nil
}

// connection reads one stream. nil is its end.
func (f *follower) connection(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := get(f.path, nil)
	q.header = http.Header{"Accept": {"text/event-stream"}}
	if f.after != "" {
		q.header["Last-Event-Id"] = []string{f.after}
	}
	if f.stored {
		q.query = url.Values{"follow": {"false"}}
	}
	f.news = false
	a, err := f.client.open(ctx, q)
	if err != nil {
		return err
	}
	defer a.Close()
	f.opened = true
	defer f.lived(time.Now())
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "text/event-stream" {
		return a.malformed("its events are %s", or(kind, "of no type"))
	}
	stream := &frames{r: bufio.NewReader(a.living()), id: f.after}
	for {
		next, err := stream.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errLongFrame) {
			return a.malformed("%v", err)
		}
		if err != nil {
			return a.cut(err)
		}
		if err := f.take(a, next); err != nil || f.done || f.left {
			return err
		}
	}
}

// lived counts a stream that was there for a while as a success: a job may have
// nothing to say for long.
func (f *follower) lived(since time.Time) {
	if time.Since(since) > 5*time.Second {
		f.patience.renew()
	}
}

// take answers an event.
func (f *follower) take(a *answer, next frame) error {
	var known struct {
		TS      time.Time `json:"ts"`
		Attempt int       `json:"attempt"`
	}
	if err := json.Unmarshal([]byte(next.data), &known); err != nil {
		return a.malformed("of the job's events there is one that is not understood")
	}
	f.after, f.news = next.id, true
	f.patience.renew()
	e := Event{ID: next.id, Type: EventType(next.name), Time: known.TS, Attempt: known.Attempt, Data: json.RawMessage(next.data)}
	f.done = e.Type == EventEnd
	f.left = !f.yield(e, nil)
	return nil
}

func eventError(what string) error {
	return &Error{Detail: "of the job's events there is " + what, kind: ErrMalformed}
}
