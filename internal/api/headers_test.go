package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func TestCorrelationID(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, tc := range []struct {
		name, id string
		kept     bool
	}{
		{"one", "x", true},
		{"64 characters", strings.Repeat("x", 64), true},
		{"signs", `a b"<>~!`, true},
		{"none", "", false},
		{"65 characters", strings.Repeat("x", 65), false},
		{"a control character", "a\tb", false},
		{"DEL", "a\x7f", false},
		{"not ASCII", "é", false},
		{"not UTF-8", "\xff", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newRig(t)
			for target, status := range map[string]int{"/execute": 200, "/nothing": 404, "/jobs/x/cancel": 404} {
				r := request("POST", target, strings.NewReader(simple), "Content-Type: application/json")
				r.Header.Set(correlationHeader, tc.id)
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				got := w.Header().Get(correlationHeader)
				if w.Code != status || tc.kept && got != tc.id || !tc.kept && !uuid.MatchString(got) {
					t.Errorf("%s: %d with %q", target, w.Code, got)
				}
				if target == "/jobs/x/cancel" && !strings.Contains(w.Body.String(), `"correlation_id":`+string(asText([]byte(got)))) {
					t.Errorf("%s: %s", target, w.Body)
				}
			}
			if s := g.service.submissions[0]; s.CorrelationID == "" || tc.kept != (s.CorrelationID == tc.id) {
				t.Errorf("the service was told %q", s.CorrelationID)
			}
		})
	}
	ids := map[string]bool{}
	for range 100 {
		ids[newUUID()] = true
	}
	if len(ids) != 100 {
		t.Error("ids are repeated")
	}
}

// What goes wrong inside is told as far as it is the caller's business.
func TestErrorsOfTheService(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		status int
		detail string
		logged bool
	}{
		{"queue full", store.ErrQueueFull, 503, "Job queue is full, try again later", false},
		{"conflict", store.ErrConflict, 409, "Idempotency key reused with different payload", false},
		{"an input that is gone", store.ErrNotFound, 404, "Input file not found", false},
		{"out of time", context.DeadlineExceeded, 503, "The server is too busy, try again later", false},
		{"invalid", job.Errorf(job.KindInvalid, "memory is too much").WithHint("for the operator"), 422, "memory is too much", false},
		{"not there", job.Errorf(job.KindNotFound, "no such thing"), 404, "no such thing", false},
		{"unavailable", job.Errorf(job.KindUnavailable, "the disk is full at /home/tako/data"), 503, "the disk is full at /home/***/data", true},
		{"unsupported", job.Errorf(job.KindUnsupported, "not in this version").WithHint("for the operator"), 501, "not in this version", false},
		{"the engine", job.Errorf(job.KindEngine, "runsc at 10.1.2.3 died").WithHint("secret"), 500, "Submit error: runsc at ***.***.***.*** died", true},
		{"the configuration", job.Errorf(job.KindConfig, "container 0123456789ab"), 500, "Submit error: container <container-id>", true},
		{"a defect", job.Errorf(job.KindInternal, "secret"), 500, "Internal server error.", true},
		{"anything", errors.New("secret"), 500, "Internal server error.", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log strings.Builder
			g := newRig(t, func(o *Options) {
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			})
			g.service.fail["Submit"] = tc.err
			w := g.expect(tc.status, "POST", "/execute/async", simple)
			if w.Body.String() != detail(tc.detail) {
				t.Errorf("%s", w.Body)
			}
			if logged := strings.Contains(log.String(), tc.err.Error()) && strings.Contains(log.String(), correlation); logged != tc.logged {
				t.Errorf("the log has %q", log.String())
			}
			if after := w.Header().Get("Retry-After"); after != "" {
				t.Errorf("Retry-After is %q", after)
			}
			g.unchanged()
		})
	}
}

// Whatever fails below a route, the caller is told no secret, and nothing is as
// it was not before.
func TestEveryFailure(t *testing.T) {
	methods := reflect.TypeFor[Service]()
	for err, status := range map[error]int{errors.New("secret"): 500, job.Errorf(job.KindUnavailable, "away").WithHint("secret"): 503} {
		for i, r := range newRig(t).routes() {
			g := furnished(t)
			for m := range methods.NumMethod() {
				g.service.fail[methods.Method(m).Name] = err
			}
			g.service.accepting = err
			before := len(g.service.changedSince(0))
			w := g.ask(&g.routes()[i], "")
			want := status
			switch {
			case r.hidden || r.pattern == "/health" || r.pattern == "/metrics": // ask nobody who can fail
				continue
			case r.pattern == "/ready":
				want = http.StatusServiceUnavailable
			case strings.HasSuffix(r.pattern, "/build"):
				want = http.StatusInternalServerError // "Build failed: ..."
			}
			if w.Code != want || strings.Contains(w.Body.String(), "secret") || len(g.service.changedSince(before)) > 0 {
				t.Errorf("%s %s: %d %.300s", r.method, r.pattern, w.Code, w.Body)
			}
		}
	}
}

func TestPanic(t *testing.T) {
	var log strings.Builder
	statuses := map[string]int{}
	g := newRig(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		o.Observe = func(route, method string, status int, _ time.Duration) { statuses[method+" "+route] = status }
	})
	g.service.panics = "Submit"
	w := g.expect(http.StatusInternalServerError, "POST", "/execute/async", simple)
	if w.Body.String() != detail("Internal server error.") || !strings.Contains(log.String(), "the fake panics in Submit") {
		t.Errorf("%s, logged: %.200s", w.Body, log.String())
	}
	if statuses["POST /execute/async"] != 500 {
		t.Errorf("%v", statuses)
	}
}

// Strangers cannot make up names of what is counted.
func TestObserve(t *testing.T) {
	type seen struct {
		route, method string
		status        int
	}
	var got []seen
	g := newRig(t, func(o *Options) {
		o.Observe = func(route, method string, status int, _ time.Duration) {
			got = append(got, seen{route, method, status})
		}
	})
	g.send("GET", "/jobs/a-name", "")
	g.send("GET", "/a-name", "")
	g.send("GET", "/executions", "", "Host: evil.example")
	g.send("PATCH", "/executions", "")
	for i, want := range []seen{{"/jobs/{job_id}", "GET", 404}, {"none", "GET", 404}, {"/executions", "GET", 403}, {"none", "PATCH", 405}} {
		if got[i] != want {
			t.Errorf("%v, want %v", got[i], want)
		}
	}
}

func TestMethodNotAllowed(t *testing.T) {
	g := newRig(t)
	for target, allow := range map[string]string{
		"/execute": "POST", "/jobs/x": "DELETE, GET", "/job-types/x": "DELETE, GET, POST, PUT", "/jobs/x/artifacts/a": "GET, HEAD", "/": "GET",
	} {
		for _, method := range []string{"PATCH", "OPTIONS", "MAKE-UP"} {
			if w := g.expect(http.StatusMethodNotAllowed, method, target, ""); w.Header().Get("Allow") != allow {
				t.Errorf("%s %s: %q", method, target, w.Header().Get("Allow"))
			}
		}
	}
	if w := g.expect(http.StatusMethodNotAllowed, "HEAD", "/executions", ""); w.Body.Len() > 0 {
		t.Errorf("HEAD has the body %s", w.Body)
	}
}

func TestRedirects(t *testing.T) {
	g := newRig(t)
	for _, tc := range []struct{ method, target, location string }{
		{"GET", "/", "/docs"},
		{"POST", "/execute/", "/execute"},
		{"GET", "/executions/?limit=5&label=a%3Ab", "/executions?limit=5&label=a%3Ab"},
		{"GET", "/jobs/a%20b/", "/jobs/a%20b"},
		{"GET", "/health/", "/health"},
		{"GET", "/jobs/x/artifacts/", "/jobs/x/artifacts"},
	} {
		w := g.send(tc.method, tc.target, "")
		if w.Code != http.StatusTemporaryRedirect || w.Header().Get("Location") != tc.location || w.Body.Len() > 0 {
			t.Errorf("%s: %d to %q, %s", tc.target, w.Code, w.Header().Get("Location"), w.Body)
		}
	}
	for _, target := range []string{"//evil.example/", "/%2Fevil.example/", "/executions//"} {
		if w := g.send("GET", target, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d to %q", target, w.Code, w.Header().Get("Location"))
		}
	}
}
