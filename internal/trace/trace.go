// Package trace tells an OpenTelemetry collector what a server does, where one
// is configured: a span for every request and every attempt. It is off by
// default; a nil *Tracer does nothing.
//
// What goes out is OTLP over HTTP in its JSON encoding (OpenTelemetry Protocol
// 1.x, trace service), and the parent of a request's span is taken from its
// traceparent header (W3C Trace Context, level 1). docs/decisions/0014 says why
// this is not OpenTelemetry's own library.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// Kind is a span's place between client and server.
type Kind int

// The numbers are OTLP's.
const (
	Internal Kind = 1
	Server   Kind = 2
)

// Span is something that takes time. A nil one does nothing.
type Span struct {
	tracer *Tracer
	trace  [16]byte
	id     [8]byte
	parent [8]byte // zero for none
	name   string
	kind   Kind
	start  time.Time

	mu     sync.Mutex
	end    time.Time
	failed bool
	attrs  []attribute
}

type attribute struct {
	key   string
	value any // string, int64 or bool
}

// place is where a span is in its trace: what children need.
type place struct {
	trace [16]byte
	id    [8]byte
}

type placeKey struct{}

// Start begins a span below the one in ctx. End has to be called.
func (t *Tracer) Start(ctx context.Context, name string, kind Kind) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	s := &Span{tracer: t, name: name, kind: kind, start: t.o.Now()}
	if p, ok := ctx.Value(placeKey{}).(place); ok {
		s.trace, s.parent = p.trace, p.id
	} else {
		rand.Read(s.trace[:]) // never fails
	}
	rand.Read(s.id[:])
	return context.WithValue(ctx, placeKey{}, place{s.trace, s.id}), s
}

// Join lets spans of to be below the one in from.
func Join(to, from context.Context) context.Context {
	if p, ok := from.Value(placeKey{}).(place); ok {
		return context.WithValue(to, placeKey{}, p)
	}
	return to
}

// Extract is ctx below the caller's span, if a request names one.
func Extract(ctx context.Context, h http.Header) context.Context {
	p, ok := parse(h.Get("Traceparent"))
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, placeKey{}, p)
}

// parse reads "00-<32 hex>-<16 hex>-<2 hex>". What follows in a later version is
// left out of account.
func parse(header string) (p place, ok bool) {
	const length = 55
	if len(header) < length || header[2] != '-' || header[35] != '-' || header[52] != '-' || header[:2] == "ff" ||
		header[:2] == "00" && len(header) != length {
		return p, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		text string
	}{{version[:], header[:2]}, {p.trace[:], header[3:35]}, {p.id[:], header[36:52]}, {flags[:], header[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.text)); err != nil {
			return place{}, false
		}
	}
	return p, p.trace != [16]byte{} && p.id != [8]byte{}
}

// Set adds an attribute: a string, an int64 or a bool.
func (s *Span) Set(key string, value any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attrs = append(s.attrs, attribute{key, value})
}

// Rename gives a better name, once it is known.
func (s *Span) Rename(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

// End ends the span, well or not.
func (s *Span) End(failed bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.end, s.failed = s.tracer.o.Now(), failed
	s.mu.Unlock()
	s.tracer.add(s)
}
