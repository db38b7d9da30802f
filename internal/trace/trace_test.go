package trace

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// collect runs a tracer until do has returned, and answers the spans that a
// collector got.
func collect(t *testing.T, do func(*Tracer)) []map[string]any {
	t.Helper()
	var got []map[string]any
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the collector was sent %s, %v", r.URL, err)
		}
		var in struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []map[string]any }
			}
		}
		if err := json.Unmarshal(body, &in); err != nil {
			t.Error(err)
			return
		}
		got = append(got, in.ResourceSpans[0].ScopeSpans[0].Spans...)
	}))
	defer collector.Close()
	tracer := New(Options{Endpoint: collector.URL + "/", Version: "1", Host: "h"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); tracer.Run(ctx) }()
	do(tracer)
	cancel()
	<-ended
	return got
}

func TestSpans(t *testing.T) {
	header := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	spans := collect(t, func(tr *Tracer) {
		ctx, request := tr.Start(Extract(t.Context(), header), "request", Server)
		_, attempt := tr.Start(Join(t.Context(), ctx), "attempt", Internal)
		attempt.Set("job", "j")
		attempt.Set("n", int64(3))
		attempt.End(true)
		request.Rename("POST /execute")
		request.End(false)
	})
	if len(spans) != 2 {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	attempt, request := spans[0], spans[1]
	if request["traceId"] != "0af7651916cd43dd8448eb211c80319c" || request["parentSpanId"] != "b7ad6b7169203331" || request["name"] != "POST /execute" {
		t.Errorf("the request's span is %v", request)
	}
	if attempt["traceId"] != request["traceId"] || attempt["parentSpanId"] != request["spanId"] || attempt["status"] == nil {
		t.Errorf("the attempt's span is %v", attempt)
	}
}

// A collector that does not answer costs nobody anything but spans.
func TestNoCollector(t *testing.T) {
	tr := New(Options{Endpoint: "http://127.0.0.1:1"})
	for range 2 * waiting {
		_, s := tr.Start(t.Context(), "x", Internal)
		s.End(false)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cancel()
	tr.Run(ctx)
}

func TestNilTracer(t *testing.T) {
	var tr *Tracer
	ctx, s := tr.Start(t.Context(), "x", Server)
	s.Set("a", "b")
	s.Rename("y")
	s.End(true)
	if ctx != t.Context() {
		t.Error("a tracer that is off changes the context")
	}
}

func TestParse(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for text, want := range map[string]bool{
		good: true, "01" + good[2:] + "-more": true, good + "-more": false, "ff" + good[2:]: false, "": false, good[:54]: false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false, "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
		"00-0af7651916cd43dd8448eb211c8031zz-b7ad6b7169203331-01": false, "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": false,
	} {
		if _, ok := parse(text); ok != want {
			t.Errorf("parse(%q) = %v", text, ok)
		}
	}
}
