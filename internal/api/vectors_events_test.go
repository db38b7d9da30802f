package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/test/vectors"
)

// logged is a rig whose job has a vector's log.
func logged(t *testing.T, log []vectors.Event) *rig {
	t.Helper()
	g := newRig(t)
	g.service.put(ended("job"))
	for _, e := range log {
		at, err := time.Parse(time.RFC3339, e.At)
		if err != nil {
			t.Fatal(err)
		}
		g.service.logs["job"] = append(g.service.logs["job"],
			job.Event{Seq: e.Seq, At: at, Type: job.EventType(e.Type), Attempt: e.Attempt, Data: e.Data})
	}
	return g
}

// TestStreams: the streams of the vectors that have a log are what the server
// makes of it.
func TestStreams(t *testing.T) {
	all, err := vectors.Read[vectors.Stream]("../../test/vectors/streams.json")
	if err != nil {
		t.Fatal(err)
	}
	met := false
	for _, x := range all {
		if x.Log == nil {
			continue
		}
		met = true
		w := logged(t, x.Log).expect(http.StatusOK, "GET", "/jobs/job/events", "")
		if got := w.Body.String(); got != string(x.Bytes) {
			t.Errorf("%s:\n%s\nwant\n%s", x.Name, got, x.Bytes)
		}
	}
	if !met {
		t.Error("no stream has a log")
	}
}

// TestReconnects: a connection of the vectors is given what the server answers to
// its request, as far as it came.
func TestReconnects(t *testing.T) {
	all, err := vectors.Read[vectors.Reconnect]("../../test/vectors/reconnects.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			g := logged(t, x.Log)
			for n, c := range x.Connections {
				if c.Answer.Status != http.StatusOK || !strings.HasSuffix(c.Request.Path, "/events") {
					continue
				}
				var headers []string
				for name, value := range c.Request.Headers {
					headers = append(headers, name+": "+value)
				}
				w := g.expect(http.StatusOK, c.Request.Method, c.Request.Path, "", headers...)
				if !strings.HasPrefix(w.Body.String(), c.Answer.Raw) || w.Header().Get("Content-Type") != c.Answer.Headers["Content-Type"] {
					t.Errorf("connection %d is given\n%s\nand the server says\n%s", n, c.Answer.Raw, w.Body)
				}
			}
		})
	}
}
