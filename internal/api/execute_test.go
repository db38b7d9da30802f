package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
)

func to[T any](v T) *T { return &v }

// Every field of a request reaches the service.
func TestSubmission(t *testing.T) {
	const body = `{"code":" x\n","input_data":{"n": 1e400,"a":"\ud800"},"timeout":"30","startup_timeout":10,"job_type":"a@v1","idempotency_key":"12345678",
		"requirements":["numpy"],"language":"bash","args":["","é"],"env":{"A_1":"\n","B":""},"stdin":"","files":[{"path":"t","text":"T"},{"path":"d/b","content":"AP8="},
		{"path":"r","artifact":"job-1/sub/a.csv"},{"path":"u","upload":"up-1"}],"limits":{"memory":"1g","cpus":0.5,"pids":5,"disk":2097152,"stdout_bytes":0,"stderr_bytes":1,"artifact_bytes":2},
		"network":{"mode":"allow","allow":["*.example.com:443","10.0.0.0/8"]},"image":"i","priority":1,"run_at":"2026-08-12T12:29:59.5+02:00","retry":"never",
		"labels":{"k/x":"v"},"webhook_url":"https://a.example/hook?x=1","cancel_on_disconnect":true}`
	want := Submission{
		Request: job.Request{
			Code: " x\n", Language: "bash", Input: json.RawMessage(`{"n": 1e400,"a":"\ud800"}`), Args: []string{"", "é"}, Env: map[string]string{"A_1": "\n", "B": ""}, Stdin: to(""),
			JobType: "a@v1", Requirements: []string{"numpy"}, Timeout: 30, StartupTimeout: 10,
			Limits:  job.LimitRequest{Memory: to(int64(1 << 30)), CPUs: to(0.5), PIDs: to(5), Disk: to(int64(2 << 20)), Stdout: to(int64(0)), Stderr: to(int64(1)), Artifact: to(int64(2))},
			Network: &job.Network{Mode: job.NetworkAllow, Allow: []string{"*.example.com:443", "10.0.0.0/8"}}, Image: "i", Priority: 1, Retry: job.RetryNever,
			RunAt: time.Date(2026, 8, 12, 10, 29, 59, 500_000_000, time.UTC), CancelOnDisconnect: true, Labels: map[string]string{"k/x": "v"}, WebhookURL: "https://a.example/hook?x=1",
		},
		Files:          []FileSource{{Path: "t", Content: []byte("T")}, {Path: "d/b", Content: []byte{0, 255}}, {Path: "r", Artifact: &ArtifactRef{"job-1", "sub/a.csv"}}, {Path: "u", Upload: "up-1"}},
		IdempotencyKey: "12345678", Caller: Caller{CorrelationID: correlation, ClientIP: "192.0.2.1"},
	}
	bare := Submission{
		Request: job.Request{Code: "x", Input: json.RawMessage("{}"), Priority: 2, Retry: job.RetryInfrastructure},
		Caller:  want.Caller,
	}
	nulls := `{"code":"x","timeout":null,"startup_timeout":null,"job_type":null,"idempotency_key":null,"requirements":null,"language":null,"args":null,"env":null,"stdin":null,
		"files":null,"limits":{"memory":null,"cpus":null,"pids":null,"disk":null,"stdout_bytes":null},"network":null,"image":null,"priority":null,"run_at":null,"retry":null,"labels":null,"webhook_url":null,"cancel_on_disconnect":null}`
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	for name, tc := range map[string]struct {
		body string
		want Submission
	}{
		"everything": {body, want}, "the least": {simple, bare}, "nulls": {nulls, bare},
		"empty lists": {`{"code":"x","args":[],"env":{},"files":[],"limits":{},"labels":{},"requirements":[]}`, bare},
	} {
		for _, target := range []string{"/execute", "/execute/async"} {
			g := newRig(t)
			g.service.uploads["up-1"] = []byte("U")
			g.expect(http.StatusOK, "POST", target, tc.body)
			if diff := cmp.Diff(tc.want, g.service.submissions[0], sameTime); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

func TestExecuteAnswers(t *testing.T) {
	g := newRig(t)
	w := g.expect(http.StatusOK, "POST", "/execute", simple)
	const id = "00000000-0000-4000-8000-000000000001"
	if w.Body.String() != `{"success":true,"output":null,"execution_time":1,"stdout":"","stderr":"","exit_code":0,"error":null,"job_type":"default","execution_id":"`+id+`","runtime":null}` {
		t.Errorf("%s", w.Body)
	}
	keyed := `{"code":"x","idempotency_key":"12345678"}`
	first := g.object("POST", "/execute/async", keyed)
	if again := g.object("POST", "/execute/async", keyed); again["job_id"] != first["job_id"] || first["status"] != "queued" || len(first) != 2 {
		t.Errorf("%v, then %v", first, again)
	}
	w = g.expect(http.StatusConflict, "POST", "/execute", `{"code":"y","idempotency_key":"12345678"}`)
	if w.Body.String() != detail("Idempotency key reused with different payload") {
		t.Errorf("%s", w.Body)
	}
}

// A job goes on when its caller is gone, unless the caller wanted it otherwise.
func TestCallerIsGone(t *testing.T) {
	for body, end := range map[string]bool{simple: false, `{"code":"x","cancel_on_disconnect":true}`: true} {
		s := &leaves{Service: newFake()}
		a := New(Options{Loopback: true}, s)
		ctx, leave := context.WithCancel(t.Context())
		s.leave = leave
		a.ServeHTTP(httptest.NewRecorder(), request("POST", "/execute", strings.NewReader(body), "Content-Type: application/json").WithContext(ctx))
		if (s.err != nil) != end {
			t.Errorf("%s: %v", body, s.err)
		}
	}
}

// leaves is a service whose caller leaves while a job runs.
type leaves struct {
	Service
	leave func()
	err   error // of the context, then
}

func (l *leaves) Execute(ctx context.Context, _ job.Principal, _ Submission) (job.Record, error) {
	l.leave()
	l.err = ctx.Err()
	return job.Record{}, ctx.Err()
}

func TestJobStatus(t *testing.T) {
	g := newRig(t)
	g.service.put(job.Record{ID: "waiting"})
	g.service.put(job.Record{ID: "running", Status: job.Running, StartedAt: epoch(), CreatedAt: epoch()})
	g.service.put(ended("ended"))
	for id, want := range map[string]string{
		"waiting": `{"job_id":"waiting","status":"pending","created_at":"2026-08-12T10:30:00.123456+00:00","duration_ms":null,"queue_position":1}`,
		"running": `{"job_id":"running","status":"running","created_at":"2026-08-12T10:30:00.123456+00:00","duration_ms":null,"queue_position":null}`,
		"ended":   `{"job_id":"ended","status":"succeeded","created_at":"2026-08-12T10:30:00.123456+00:00","duration_ms":2000,"queue_position":null}`,
	} {
		if w := g.expect(http.StatusOK, "GET", "/jobs/"+id, ""); w.Body.String() != want {
			t.Errorf("%s", w.Body)
		}
	}
	// A result that is not there yet is the record as it is.
	if o := g.object("GET", "/jobs/running/result", ""); o["status"] != "running" {
		t.Errorf("%v", o)
	}
	if o := g.object("POST", "/jobs/waiting/cancel", ""); o["status"] != "cancelled" || o["job_id"] != "waiting" || len(o) != 2 {
		t.Errorf("%v", o)
	}
	if o := g.object("DELETE", "/jobs/ended", ""); o["status"] != "deleted" || o["job_id"] != "ended" {
		t.Errorf("%v", o)
	}
	g.expect(http.StatusNotFound, "DELETE", "/jobs/ended", "")
}

func TestDerivations(t *testing.T) {
	caller := Caller{CorrelationID: correlation, ClientIP: "192.0.2.1"}
	for _, tc := range []struct {
		target, body string
		want         Derivation
	}{
		{"/jobs/job/rerun", `{}`, Derivation{Caller: caller}},
		{"/jobs/job/rerun", `{"job_type":"a@v1","timeout":300}`, Derivation{JobType: "a@v1", Timeout: 300, Caller: caller}},
		{"/jobs/job/rerun", `{"job_type":null,"timeout":null}`, Derivation{Caller: caller}},
		{"/jobs/job/fork", `{"code":"y","timeout":"5"}`, Derivation{Code: to("y"), Timeout: 5, Caller: caller}},
	} {
		g := furnished(t)
		o := g.object("POST", tc.target, tc.body)
		if diff := cmp.Diff([]Derivation{tc.want}, g.service.derivations); diff != "" || o["status"] != "queued" {
			t.Errorf("%s: %v %s", tc.body, o, diff)
		}
	}
	g := furnished(t)
	// The ceiling comes before the parent is looked for.
	for target, body := range map[string]string{"/jobs/nobody/rerun": `{"timeout":301}`, "/jobs/nobody/fork": `{"code":"x","timeout":301}`} {
		if w := g.expect(http.StatusUnprocessableEntity, "POST", target, body); w.Body.String() != detail(timeoutAbove(300)) {
			t.Errorf("%s: %s", target, w.Body)
		}
	}
	g.service.fail["Rerun"] = ErrNoReplay
	if w := g.expect(http.StatusBadRequest, "POST", "/jobs/job/rerun", "{}"); w.Body.String() != detail("Original input not available for replay") {
		t.Errorf("%s", w.Body)
	}
}

// holds sends a field of /execute and wants it to be taken, or refused with msg.
func holds(t *testing.T, change func(*Options), name, value, msg string) {
	t.Helper()
	g := newRig(t, change)
	w := g.send("POST", "/execute", fmt.Sprintf(`{"code":"x",%q:%s}`, name, value))
	switch {
	case msg == "" && w.Code != http.StatusOK:
		t.Errorf("%s %s: %s", name, value, w.Body)
	case msg != "" && (w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), string(asText([]byte(msg))))):
		t.Errorf("%s %s: %d %s", name, value, w.Code, w.Body)
	}
}

func TestWebhookURLs(t *testing.T) {
	const noHost, noTLS = "Value error, webhook_url must be a URL with a host and without a user", "Value error, webhook_url must be https"
	for url, want := range map[string]string{
		"https://a.example":                    "",
		"https://a.example:8443/x?y=z":         "",
		"https://[2001:db8::1]/":               "",
		"HTTPS://a.example":                    "",
		"http://a.example":                     noTLS,
		"ftp://a.example":                      noTLS,
		"//a.example":                          noTLS,
		"a.example":                            noHost,
		"https://":                             noHost,
		"https:///x":                           noHost,
		"https://:443/":                        noHost,
		"https://user@a.example":               noHost,
		"https://user:pass@a.example":          noHost,
		"https:a.example":                      noHost,
		`https://a.example/\u0000`:             noHost,
		`https://a.example/\n`:                 noHost,
		"https://a.example:port":               noHost,
		"javascript:alert(1)":                  noHost,
		"":                                     "String should have at least 1 character",
		strings.Repeat("x", 2049):              "String should have at most 2048 characters",
		"https://" + strings.Repeat("x", 2040): "",
	} {
		holds(t, func(*Options) {}, "webhook_url", `"`+url+`"`, want)
		if want == noTLS && strings.HasPrefix(url, "http:") {
			want = ""
		}
		holds(t, func(o *Options) { o.WebhookAllowHTTP = true }, "webhook_url", `"`+url+`"`, want)
	}
}

func TestLabels(t *testing.T) {
	const key = `String should match pattern '^[^:\x00-\x1f\x7f-\x9f]{1,63}$'`
	const bytes = "Value error, the key of a label must have at most 63 bytes"
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	for value, want := range map[string]string{
		`{"a":""}`: "", `{"a.b/c-d_e":"any text: é😀"}`: "", many(16): "",
		`{"` + strings.Repeat("k", 63) + `":"` + strings.Repeat("v", 63) + `"}`: "",
		`{"` + strings.Repeat("k", 64) + `":""}`:                                key,
		`{"a":"` + strings.Repeat("v", 64) + `"}`:                               "Value error, the text must have at most 63 bytes",
		`{"a":"` + strings.Repeat("é", 32) + `"}`:                               "Value error, the text must have at most 63 bytes",
		many(17):  "Dictionary should have at most 16 items after validation, not 17",
		`{"":""}`: key,
		`{"-a":"","_a":"","a b":"","é":"","a\"'\\":""}`: "",
		`{"a\u0000":""}`: key,
		`{"a\n":""}`:     key,
		`{"` + strings.Repeat("é", 32) + `":""}`: bytes,
		`{"a:b":""}`:     key,
		`{"a":1}`:        "Input should be a valid string",
		`{"a":null}`:     "Input should be a valid string",
		`[]`:             "Input should be a valid dictionary",
		`{"a":"\u0000"}`: "Value error, the text must not contain a NUL",
	} {
		holds(t, func(*Options) {}, "labels", value, want)
	}
}

func TestNetworkPatterns(t *testing.T) {
	const wrong = "Value error, a pattern is a host name, *.name or a network such as 10.0.0.0/8, with an optional :port or :port-port"
	for pattern, want := range map[string]string{
		"a.example": "", "*.a.example": "", "localhost": "", "a_b.example:443": "", "a.example:80-443": "", "*.example:1-65535": "", "A.Example": "",
		"10.0.0.0/8": "", "10.0.0.0/8:5432": "", "2001:db8::/32": "", "2001:db8::/32:443": "", "192.0.2.1": "", "xn--nxasmq6b.example": "",
		"*": wrong, "*.": wrong, "**.a.example": wrong, "a.*.example": wrong, "a.example:": wrong, "a.example:0": wrong, "a.example:65536": wrong, "a.example:5-4": wrong,
		"a.example:x": wrong, "a.example:1-": wrong, "-a.example": wrong, "a-.example": wrong, "a..example": wrong, "a.example.": wrong, ".a.example": wrong,
		"https://a.example": wrong, "a.example/x": wrong, "10.0.0.0/33": wrong, "a b": wrong, "é.example": wrong, "a@b": wrong, "[::1]": wrong, "::1": wrong,
		strings.Repeat("a", 64) + ".example": wrong, "a.example:+80": wrong,
	} {
		holds(t, func(*Options) {}, "network", `{"mode":"allow","allow":["`+pattern+`"]}`, want)
	}
}

func TestPathsOfFiles(t *testing.T) {
	const part = "Value error, a part of a path is not empty, . or .., and has at most 255 bytes"
	for path, want := range map[string]string{
		"a": "", "a/b/c": "", "...": "", "a b": "", "é": "", "-": "", strings.Repeat("a", 255) + "/" + strings.Repeat("b", 255): "", "sub/data.json": "", `a\\b`: "",
		"": "Value error, a path is relative and has 1 to 4096 bytes", "/a": "Value error, a path is relative and has 1 to 4096 bytes", strings.Repeat("a/", 2048) + "a": "Value error, a path is relative and has 1 to 4096 bytes",
		".": part, "..": part, "a/..": part, "a//b": part, "a/": part, "./a": part, strings.Repeat("a", 256): part,
		`a\u0000`: "Value error, a path holds no control characters", `a\n`: "Value error, a path holds no control characters", `\u007f`: "Value error, a path holds no control characters",
		"data.json": `Value error, the path "data.json" is taken`, "data.json/x": `Value error, the path "data.json" is a file and a folder`,
	} {
		holds(t, func(*Options) {}, "files", `[{"path":"`+path+`","text":""}]`, want)
	}
}
