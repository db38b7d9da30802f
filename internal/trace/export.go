package trace

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	waiting  = 4096 // spans that wait to be sent; more are dropped
	most     = 512  // in one request
	every    = 5 * time.Second
	sendTime = 10 * time.Second
)

// Options configure a Tracer. Endpoint is needed.
type Options struct {
	Endpoint string // of the collector: http://127.0.0.1:4318
	Version  string
	Host     string
	Log      *slog.Logger
	Now      func() time.Time // default time.Now
}

// Tracer collects spans and sends them.
type Tracer struct {
	o      Options
	url    string
	spans  chan *Span
	client *http.Client
}

// New makes a Tracer. Run sends what it collects.
func New(o Options) *Tracer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	url := strings.TrimSuffix(o.Endpoint, "/")
	if !strings.HasSuffix(url, "/v1/traces") {
		url += "/v1/traces"
	}
	return &Tracer{o: o, url: url, spans: make(chan *Span, waiting), client: &http.Client{
		Transport:     &http.Transport{MaxIdleConns: 1, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// add never waits: a collector that is away must not hold up jobs.
func (t *Tracer) add(s *Span) {
	select {
	case t.spans <- s:
	default:
	}
}

// Run sends spans until ctx ends, and then what is left.
func (t *Tracer) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer t.client.CloseIdleConnections()
	var batch []*Span
	flush := func() {
		if len(batch) == 0 {
			return
		}
		if err := t.send(context.WithoutCancel(ctx), batch); err != nil {
			t.o.Log.Warn("traces were not sent", "spans", len(batch), "error", err)
		}
		batch = nil
	}
	for {
		select {
		case s := <-t.spans:
			if batch = append(batch, s); len(batch) >= most {
				flush()
			}
		case <-tick.C:
			flush()
		case <-ctx.Done():
			for len(t.spans) > 0 {
				batch = append(batch, <-t.spans)
			}
			flush()
			return
		}
	}
}

func (t *Tracer) send(ctx context.Context, batch []*Span) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	body, err := json.Marshal(t.encode(batch))
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %s", resp.Status)
	}
	return nil
}

type object = map[string]any

// encode is an ExportTraceServiceRequest: ids in hex, 64-bit numbers as text.
func (t *Tracer) encode(batch []*Span) object {
	spans := make([]object, len(batch))
	for i, s := range batch {
		spans[i] = s.encode()
	}
	resource := []attribute{{"service.name", "tako"}, {"service.version", t.o.Version}, {"host.name", t.o.Host}}
	return object{"resourceSpans": []object{{
		"resource":   object{"attributes": encodeAll(resource)},
		"scopeSpans": []object{{"scope": object{"name": "tako"}, "spans": spans}},
	}}}
}

func (s *Span) encode() object {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := object{
		"traceId": hex.EncodeToString(s.trace[:]), "spanId": hex.EncodeToString(s.id[:]), "name": s.name, "kind": s.kind,
		"startTimeUnixNano": strconv.FormatInt(s.start.UnixNano(), 10), "endTimeUnixNano": strconv.FormatInt(s.end.UnixNano(), 10),
		"attributes": encodeAll(s.attrs),
	}
	if s.parent != [8]byte{} {
		o["parentSpanId"] = hex.EncodeToString(s.parent[:])
	}
	if s.failed {
		o["status"] = object{"code": 2}
	}
	return o
}

func encodeAll(list []attribute) []object {
	out := []object{}
	for _, a := range list {
		var value object
		switch v := a.value.(type) {
		case int64:
			value = object{"intValue": strconv.FormatInt(v, 10)}
		case bool:
			value = object{"boolValue": v}
		default:
			value = object{"stringValue": fmt.Sprint(v)}
		}
		out = append(out, object{"key": a.key, "value": value})
	}
	return out
}
