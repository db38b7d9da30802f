package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/test/vectors"
)

// readingKey is of a caller that may only read, and nobody's.
const readingKey = "tako_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0QBvpA"

// given is a server in the state that a vector names.
func given(t *testing.T, state string) (http.Handler, error) {
	var change func(*Options)
	var then func(*fake)
	switch state {
	case "":
	case "a server that starts":
		return Starting(), nil
	case "keys":
		key, err := auth.ParseKey(readingKey)
		if err != nil {
			return nil, err
		}
		r := &ring{keys: []job.Key{{ID: "reader", Hash: key.Hash(), Scopes: []job.Scope{job.ScopeRead}}}}
		change = func(o *Options) {
			o.Auth = auth.New(auth.Options{Configured: []string{configuredKey}, Keys: r, CacheFor: -1, Now: epoch})
		}
	case "small requests only":
		change = func(o *Options) { o.MaxPayloadBytes = 16 }
	case "too many requests":
		change = func(o *Options) { o.RateLimit, o.RateRequests, o.RateWindow = true, 1, time.Minute }
	default:
		if then = troubles()[state]; then == nil {
			return nil, fmt.Errorf("nobody knows what %q is: give it a meaning here", state)
		}
	}
	metrics := func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "# TYPE tako_up gauge\ntako_up 1\n")
		})
	}
	if change == nil {
		change = func(*Options) {}
	}
	g := furnished(t, metrics, change)
	g.service.settle()
	if then != nil {
		then(g.service)
	}
	if state == "too many requests" {
		g.expect(http.StatusOK, "GET", "/pool/stats", "")
	}
	return g.API, nil
}

// settle makes the story plainer than the one that finds faults: not every
// client has numbers beyond those of a processor.
func (f *fake) settle() {
	r := f.records["job"]
	r.Request.Input, r.Outcome.Output = json.RawMessage(`{"n":1}`), json.RawMessage(`{"n":[1,2.5,"é"]}`)
	f.put(r)
	child := f.records["child"]
	child.Request.Code, child.Request.Language = "print(2)", "python"
	f.put(child)
	f.records["failed"] = failed()
	f.order = append([]string{"failed"}, f.order...)
	f.letters[2] = f.letters[1] // pages that begin at 1 have something
	f.deliveries = append(f.deliveries, f.deliveries[0])
}

// failed is a job whose code did.
func failed() job.Record {
	r, code := ended("failed"), 1
	r.BatchID = "batch"
	r.Status, r.IdempotencyKey, r.JobType, r.JobRef, r.Request.Code = job.Failed, "failed-1", "default", "default@latest", "1 / 0"
	r.Outcome = job.Outcome{ExitCode: &code, Stderr: "ZeroDivisionError: division by zero\n",
		Error: &job.Failure{Type: "ZeroDivisionError", Message: "division by zero", Phase: job.PhaseExecution}}
	return r
}

// troubles are states in which the service says no. The words are its own.
func troubles() map[string]func(*fake) {
	fail := func(err error, methods ...string) func(*fake) {
		return func(f *fake) {
			for _, m := range methods {
				f.fail[m] = err
			}
		}
	}
	disk := job.Errorf(job.KindUnavailable, "The disk of the server is nearly full, try again later")
	return map[string]func(*fake){
		"a full queue":           fail(store.ErrQueueFull, "Submit"),
		"inputs that are gone":   fail(ErrNoReplay, "Rerun"),
		"a fault":                fail(errors.New("the operator's business"), "Get"),
		"a server that stops":    fail(job.Errorf(job.KindUnavailable, "the server is stopping"), "Execute"),
		"a full disk":            func(f *fake) { f.accepting, f.fail["Submit"] = disk, disk },
		"a build that fails":     func(f *fake) { f.buildErr = job.Errorf(job.KindInvalid, "no package numpyy") },
		"a batch that has ended": func(f *fake) { b := f.batches["batch"]; b.Status = "finished"; f.batches["batch"] = b },
	}
}

// failureOf is a vector's error as its answer has it; only the kind is its own.
func failureOf(t *testing.T, x *vectors.Exchange) *vectors.Failure {
	t.Helper()
	var body struct {
		Detail        json.RawMessage
		CorrelationID string `json:"correlation_id"`
	}
	if err := json.Unmarshal(x.Answer.Body, &body); err != nil {
		t.Fatalf("%v: %s", err, x.Answer.Body)
	}
	e := &vectors.Failure{Kind: x.Error.Kind, Status: x.Answer.Status, CorrelationID: or(body.CorrelationID, x.Answer.Headers[correlationHeader])}
	e.RetryAfter, _ = strconv.Atoi(x.Answer.Headers["Retry-After"]) // 0 for none
	if json.Unmarshal(body.Detail, &e.Message) == nil {
		return e
	}
	var wrong []schema.Problem
	if err := json.Unmarshal(body.Detail, &wrong); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range wrong {
		var where []string
		for _, part := range p.Loc {
			where = append(where, fmt.Sprint(part))
		}
		lines = append(lines, strings.Join(where, ".")+": "+p.Msg)
	}
	e.Message = strings.Join(lines, "; ")
	return e
}
