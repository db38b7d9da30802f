package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// bad is a request that is refused, and what with.
type bad struct {
	name           string
	method, target string
	body           string
	status         int
	want           string // the body, to the letter
	headers        []string
}

// one is the body of a refusal for one problem.
func one(kind, loc, msg, input, ctx string) string {
	if ctx != "" {
		ctx = `,"ctx":` + ctx
	}
	return `{"detail":[{"type":"` + kind + `","loc":` + loc + `,"msg":` + string(asText([]byte(msg))) + `,"input":` + input + ctx + `}]}`
}

// ours is one of a rule that pydantic has no type for.
func ours(loc, msg, input string) string {
	return one("value_error", loc, "Value error, "+msg, input, `{"error":{}}`)
}

// syntax is of a body that is not JSON.
func syntax(pos int, msg string) string {
	return one("json_invalid", fmt.Sprintf(`["body",%d]`, pos), "JSON decode error", "{}", fmt.Sprintf(`{"error":%q}`, msg))
}

const (
	parsing    = "There was an error parsing the body"
	required   = "Field required"
	noExtra    = "Extra inputs are not permitted"
	noNUL      = "the text must not contain a NUL"
	envKeys    = `^[A-Za-z_][A-Za-z0-9_]{0,255}$`
	notFoundJS = `{"detail":"Not Found"}`
)

func bodies() []bad {
	long := strings.Repeat("x", maxCodeChars+1)
	wide := strings.Repeat("é", 60_000) // 120,000 bytes
	digits := strings.Repeat("9", 400)
	deep := strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600)
	many := strings.Repeat(`{"code":"x"},`, 1000) + `{"code":"x"}`
	return []bad{
		{name: "no body", want: one("missing", `["body"]`, required, "null", "")},
		{name: "null", body: "null", want: one("missing", `["body"]`, required, "null", "")},
		{name: "no code", body: `{}`, want: one("missing", `["body","code"]`, required, "{}", "")},
		{name: "code too long", body: `{"code":"` + long + `"}`,
			want: one("string_too_long", `["body","code"]`, "String should have at most 100000 characters", `"`+long+`"`, `{"max_length":100000}`)},
		{name: "code of too many bytes", body: `{"code":"` + wide + `"}`, want: ours(`["body","code"]`, "the text must have at most 102400 bytes", `"`+wide+`"`)},
		{name: "not JSON", body: `{"code":`, want: syntax(8, "Expecting value")},
		{name: "positions are characters", body: `{"é":x}`, want: syntax(5, "Expecting value")},
		{name: "two documents", body: `{"code":"x"} {}`, want: syntax(13, "Extra data")},
		{name: "white space", body: " \n", want: syntax(2, "Expecting value")},
		{name: "a name twice", body: `{"code":"x","co\u0064e":"y"}`, want: syntax(12, "Duplicate property name")},
		{name: "a name twice, further in", body: `{"code":"x","input_data":{"a":[{"b":1,"b":2}]}}`, want: syntax(38, "Duplicate property name")},
		{name: "NaN", body: `{"code":"x","timeout":NaN}`, want: syntax(22, "Expecting value")},
		{name: "a line break in text", body: "{\"code\":\"a\nb\"}", want: syntax(10, "Invalid control character at")},
		{name: "not UTF-8", body: "{\"code\":\"\xff\"}", status: 400, want: detail(parsing)},
		{name: "too deep", body: `{"code":"x","input_data":` + deep + `}`, status: 400, want: detail(parsing)},
		{name: "too deep, and broken", body: strings.Repeat("[", 100_000), status: 400, want: detail(parsing)},
		{name: "an integer of too many digits", body: `{"code":"x","timeout":` + strings.Repeat("9", 4301) + `}`, status: 400, want: detail(parsing)},
		{name: "400 digits", body: `{"code":"x","timeout":` + digits + `}`,
			want: one("less_than_equal", `["body","timeout"]`, "Input should be less than or equal to 86400", digits, `{"le":86400}`)},
		{name: "an infinite integer", body: `{"code":"x","timeout":1e999}`, want: one("finite_number", `["body","timeout"]`, "Input should be a finite number", "1e999", "")},
		{name: "an infinite float", body: `{"code":"x","limits":{"cpus":1e999}}`,
			want: one("less_than_equal", `["body","limits","cpus"]`, "Input should be less than or equal to 16", "1e999", `{"le":16.0}`)},
		{name: "half a character", body: `{"code":"\ud800"}`, want: one("string_unicode", `["body","code"]`, "Input should be a valid string, unable to parse raw data as a unicode string", `"\ud800"`, "")},
		{name: "half a character in a name", body: `{"code":"x","env":{"\ud800":"x"}}`,
			want: one("string_pattern_mismatch", `["body","env","`+"\uFFFD"+`","[key]"]`, "String should match pattern '"+envKeys+"'", "\"\uFFFD\"", `{"pattern":"`+envKeys+`"}`)},
		{name: "NUL in args", body: `{"code":"x","args":["a\u0000"]}`, want: ours(`["body","args",0]`, noNUL, `"a\u0000"`)},
		{name: "NUL in env", body: `{"code":"x","env":{"A":"\u0000"}}`, want: ours(`["body","env","A"]`, noNUL, `"\u0000"`)},
		{name: "an argument of too many bytes", body: `{"code":"x","args":["` + strings.Repeat("é", 2049) + `"]}`,
			want: ours(`["body","args",0]`, "the text must have at most 4096 bytes", `"`+strings.Repeat("é", 2049)+`"`)},
		{name: "a language", body: `{"code":"x","language":"ruby"}`, want: one("literal_error", `["body","language"]`, "Input should be 'python', 'node' or 'bash'", `"ruby"`, `{"expected":"'python', 'node' or 'bash'"}`)},
		{name: "priority", body: `{"code":"x","priority":5}`, want: one("less_than_equal", `["body","priority"]`, "Input should be less than or equal to 4", "5", `{"le":4}`)},
		{name: "no memory", body: `{"code":"x","limits":{"memory":"63m"}}`, want: one("greater_than_equal", `["body","limits","memory"]`, "Input should be greater than or equal to 67108864", `"63m"`, `{"ge":67108864}`)},
		{name: "a size", body: `{"code":"x","limits":{"disk":"lots"}}`, want: ours(`["body","limits","disk"]`, "a size is a number of bytes, or text such as 512m", `"lots"`)},
		{name: "run_at", body: `{"code":"x","run_at":"tomorrow"}`, want: ours(`["body","run_at"]`, "run_at must be an RFC 3339 time", `"tomorrow"`)},
		{name: "run_at too far", body: `{"code":"x","run_at":"2026-09-12T00:00:00Z"}`, want: ours(`["body","run_at"]`, "run_at must be at most 30 days ahead", `"2026-09-12T00:00:00Z"`)},
		{name: "run_at of a job that is waited for", body: `{"code":"x","run_at":"2026-08-12T10:30:01Z"}`,
			want: ours(`["body","run_at"]`, "run_at is for jobs that nobody waits for: submit it to /execute/async", `"2026-08-12T10:30:01Z"`)},
		{name: "patterns without allow", body: `{"code":"x","network":{"mode":"none","allow":["a.example"]}}`,
			want: ours(`["body","network"]`, "allow is for the mode allow only", `{"mode":"none","allow":["a.example"]}`)},
		{name: "a file of two sources", body: `{"code":"x","files":[{"path":"a","text":"","upload":"u"}]}`,
			want: ours(`["body","files",0]`, "exactly one of text, content, artifact and upload must be given", `{"path":"a","text":"","upload":"u"}`)},
		{name: "a file outside", body: `{"code":"x","files":[{"path":"../a","text":""}]}`,
			want: ours(`["body","files",0,"path"]`, "a part of a path is not empty, . or .., and has at most 255 bytes", `"../a"`)},
		{name: "data.json is taken", body: `{"code":"x","files":[{"path":"data.json","text":""}]}`,
			want: ours(`["body","files"]`, `the path "data.json" is taken`, `[{"path":"data.json","text":""}]`)},
		{name: "not base64", body: `{"code":"x","files":[{"path":"a","content":"*"}]}`, want: ours(`["body","files",0,"content"]`, "content is not base64", `"*"`)},
		{name: "a timeout above the server's", body: `{"code":"x","timeout":301}`, want: detail("timeout must be less than or equal to the configured max_timeout (300 seconds)")},
		{name: "a batch of nothing", target: "/batches", body: `{"items":[]}`,
			want: one("too_short", `["body","items"]`, "List should have at least 1 item after validation, not 0", "[]", `{"field_type":"List","min_length":1,"actual_length":0}`)},
		{name: "a batch of 1001", target: "/batches", body: `{"items":[` + many + `]}`,
			want: one("too_long", `["body","items"]`, "List should have at most 1000 items after validation, not 1001", "["+many+"]", `{"field_type":"List","max_length":1000,"actual_length":1001}`)},
		{name: "a batch with one invalid item", target: "/batches", body: `{"items":[{"code":"x"},{"code":"x","timeout":0},{"code":"x"}]}`,
			want: one("greater_than_equal", `["body","items",1,"timeout"]`, "Input should be greater than or equal to 1", "0", `{"ge":1}`)},
		{name: "a batch with a timeout above the server's", target: "/batches", body: `{"items":[{"code":"x"},{"code":"x","timeout":301}]}`,
			want: ours(`["body","items",1,"timeout"]`, timeoutAbove(300), "301")},
		{name: "a batch with a key in an item", target: "/batches", body: `{"items":[{"code":"x","idempotency_key":"12345678"}]}`,
			want: ours(`["body","items",0,"idempotency_key"]`, "an item has no idempotency_key of its own: give the batch one", `"12345678"`)},
		{name: "a batch with an item that the service refuses", target: "/batches", body: `{"items":[{"code":"x"},{"code":"refuse me"}]}`,
			want: ours(`["body","items",1]`, "this server refuses it", "null")},
		{name: "fork without code", target: "/jobs/parent/fork", body: `{}`, want: one("missing", `["body","code"]`, required, "{}", "")},
		{name: "rerun without a body", target: "/jobs/parent/rerun", want: one("missing", `["body"]`, required, "null", "")},
		{name: "a key with a scope twice", target: "/keys", body: `{"name":"a","scopes":["read","read"]}`, want: ours(`["body","scopes"]`, "read is there twice", `["read","read"]`)},
		{name: "a job type with another name", target: "/job-types/a", body: `{"name":"b"}`, want: ours(`["body","name"]`, "the name is another one than that in the path", `"b"`)},
		{name: "a job type of no name", method: "PUT", target: "/job-types/a%20b", body: `{}`,
			want: ours(`["path","name"]`, "the name of a job type has 1 to 64 letters, digits, - and _", `"a b"`)},
		{name: "several problems, in the order of the fields, then what is too much", body: `{"timeout":0,"surplus":1,"code":"","zebra":2}`,
			want: `{"detail":[{"type":"string_too_short","loc":["body","code"],"msg":"String should have at least 1 character","input":"","ctx":{"min_length":1}},` +
				`{"type":"greater_than_equal","loc":["body","timeout"],"msg":"Input should be greater than or equal to 1","input":0,"ctx":{"ge":1}},` +
				`{"type":"extra_forbidden","loc":["body","surplus"],"msg":"Extra inputs are not permitted","input":1},` +
				`{"type":"extra_forbidden","loc":["body","zebra"],"msg":"Extra inputs are not permitted","input":2}]}`},
	}
}

func notWhole(name, input string) string {
	return one("int_parsing", name, "Input should be a valid integer, unable to parse string as an integer", input, "")
}

func requests() []bad {
	bound := func(name, side, ctx, than, input string) string {
		words := strings.ReplaceAll(strings.ReplaceAll(side, "_", " "), "than equal", "than or equal")
		return one(side, `["query","`+name+`"]`, "Input should be "+words+than, input, ctx)
	}
	most := detail("Payload too large. Maximum allowed size is 2097152 bytes.")
	return []bad{
		{name: "limit too small", method: "GET", target: "/executions?limit=0", want: bound("limit", "greater_than_equal", `{"ge":1}`, " to 1", `"0"`)},
		{name: "limit too large", method: "GET", target: "/dlq?limit=1001", want: bound("limit", "less_than_equal", `{"le":1000}`, " to 1000", `"1001"`)},
		{name: "offset", method: "GET", target: "/deliveries?offset=-1", want: bound("offset", "greater_than_equal", `{"ge":0}`, " to 0", `"-1"`)},
		{name: "offset of too many digits", method: "GET", target: "/executions?offset=99999999999999999999",
			want: one("int_parsing_size", `["query","offset"]`, "Unable to parse input string as an integer, exceeded maximum size", `"99999999999999999999"`, "")},
		{name: "the last of several counts", method: "GET", target: "/executions?limit=5&limit=x", want: notWhole(`["query","limit"]`, `"x"`)},
		{name: "time to wait", method: "GET", target: "/jobs/parent/result?wait=true&timeout=0.5", want: bound("timeout", "greater_than_equal", `{"ge":1.0}`, " to 1", `"0.5"`)},
		{name: "wait", method: "GET", target: "/jobs/parent/result?wait=maybe", want: one("bool_parsing", `["query","wait"]`, "Input should be a valid boolean, unable to interpret input", `"maybe"`, "")},
		{name: "a cursor", method: "GET", target: "/jobs/parent/events?after=-1",
			want: one("string_pattern_mismatch", `["query","after"]`, "String should match pattern '^[0-9]{1,18}$'", `"-1"`, `{"pattern":"^[0-9]{1,18}$"}`)},
		{name: "a cursor in the header", method: "GET", target: "/jobs/parent/events", headers: []string{"Last-Event-ID: x"},
			want: one("string_pattern_mismatch", `["header","last-event-id"]`, "String should match pattern '^[0-9]{1,18}$'", `"x"`, `{"pattern":"^[0-9]{1,18}$"}`)},
		{name: "a label", method: "GET", target: "/executions?label=a:1&label=b", want: ours(`["query","label",1]`, "a label is key:value", `"b"`)},
		{name: "a label of two values", method: "GET", target: "/executions?label=a:1&label=a:2", want: ours(`["query","label",1]`, "the label a cannot have two values", `"a:2"`)},
		{name: "the id of a dead letter", method: "DELETE", target: "/dlq/x", want: notWhole(`["path","entry_id"]`, `"x"`)},
		{name: "parameters before bodies", target: "/job-types/x/build?version_tag=.", want: one("string_pattern_mismatch", `["query","version_tag"]`, "String should match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'", `"."`, `{"pattern":"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"}`)},
		{name: "an unknown path", method: "GET", target: "/nothing", status: 404, want: notFoundJS},
		{name: "a method", method: "GET", target: "/execute", status: 405, want: `{"detail":"Method Not Allowed"}`},
		{name: "HEAD of what has GET", method: "PATCH", target: "/jobs/parent", status: 405, want: `{"detail":"Method Not Allowed"}`},
		{name: "a slash too many", target: "/execute/", body: `{"code":"x"}`, status: 307},
		{name: "a slash too many of nothing", method: "GET", target: "/nothing/", status: 404, want: notFoundJS},
		{name: "two slashes", method: "GET", target: "/jobs//parent", status: 404, want: notFoundJS},
		{name: "a way up", method: "GET", target: "/jobs/../health", status: 404, want: notFoundJS},
		{name: "a way up in disguise", method: "GET", target: "/docs/%2e%2e/keys", status: 404, want: notFoundJS},
		{name: "an id with a slash", method: "GET", target: "/jobs/a%2Fb", status: 404, want: detail("Job not found")},
		{name: "an id with NUL", method: "GET", target: "/executions/a%00", status: 404, want: detail("Execution not found")},
		{name: "an id of dots", method: "DELETE", target: "/jobs/..a", status: 404, want: detail("Job not found")},
		{name: "an id that is too long", target: "/batches/" + strings.Repeat("a", 65) + "/cancel", status: 404, want: detail("Batch not found")},
		{name: "an unknown job", target: "/jobs/nobody/cancel", status: 404, want: detail("Job not found or already completed")},
		{name: "a job that has ended", target: "/jobs/parent/cancel", status: 404, want: detail("Job not found or already completed")},
		{name: "rerun of what runs", target: "/jobs/running/rerun", body: `{}`, status: 400, want: detail("Cannot rerun job that hasn't completed")},
		{name: "fork of what runs", target: "/jobs/running/fork", body: `{"code":"x"}`, status: 400, want: detail("Cannot fork job that hasn't completed")},
		{name: "removing what runs", method: "DELETE", target: "/jobs/running", status: 400, want: detail("Cannot delete job that hasn't completed")},
		{name: "waiting too long", method: "GET", target: "/jobs/running/result?wait=1&timeout=1", status: 408, want: detail("Timeout waiting for job")},
		{name: "a name of a job type that cannot be", method: "GET", target: "/job-types/a%00b", status: 404, want: detail("Job type 'a\x00b' not found")},
		{name: "an unknown build", method: "GET", target: "/job-types/default/builds/x/log", status: 404, want: detail("Build not found")},
		{name: "an unknown build's lock", method: "GET", target: "/job-types/default/builds/x/lock", status: 404, want: detail("Build not found, or it has no packages")},
		{name: "a job type that is there", target: "/job-types/default", body: `{}`, status: 409, want: detail("Job type 'default' exists")},
		{name: "an unknown dead letter", method: "DELETE", target: "/dlq/5", status: 404, want: detail("DLQ entry not found")},
		{name: "an unknown key", method: "DELETE", target: "/keys/5", status: 404, want: detail("Key not found")},
		{name: "no type", body: `{"code":"x"}`, headers: []string{"Content-Type:"}, status: 415, want: detail("The Content-Type must be application/json or multipart/form-data.")},
		{name: "a type that forms send", body: `{"code":"x"}`, headers: []string{"Content-Type: text/plain"}, status: 415, want: detail("The Content-Type must be application/json or multipart/form-data.")},
		{name: "a form where there is none", target: "/batches", body: `{"items":[]}`, headers: []string{"Content-Type: multipart/form-data; boundary=b"},
			want: one("model_attributes_type", `["body"]`, "Input should be a valid dictionary or object to extract fields from", `"{\"items\":[]}"`, "")},
		{name: "a form without a boundary", body: "x", headers: []string{"Content-Type: multipart/form-data"}, status: 400, want: detail(parsing)},
		{name: "too large", body: `{"code":"` + strings.Repeat(" ", 2<<20) + `"}`, status: 413, want: most},
		{name: "too large where nobody reads it", method: "GET", target: "/nothing", body: strings.Repeat(" ", 2<<20+1), status: 413, want: most},
	}
}

// send sends a bad request to a rig that has a job of each kind.
func (b *bad) send(t *testing.T, g *rig) {
	if b.method == "" {
		b.method = "POST"
	}
	if b.target == "" {
		b.target = "/execute"
	}
	if b.status == 0 {
		b.status = 422
	}
	w := g.send(b.method, b.target, b.body, b.headers...)
	if w.Code != b.status || w.Body.String() != b.want {
		t.Errorf("%s %.100s\n got %d %.1000s\nwant %d %.1000s", b.method, b.target, w.Code, w.Body, b.status, b.want)
	}
	if b.want != "" && w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the type is %q", w.Header().Get("Content-Type"))
	}
	g.unchanged()
}

func TestBadRequests(t *testing.T) {
	for _, b := range append(bodies(), requests()...) {
		t.Run(b.name, func(t *testing.T) {
			g := newRig(t)
			g.service.put(ended("parent"))
			g.service.put(job.Record{ID: "running", Status: job.Running})
			b.send(t, g)
		})
	}
}

// testdata/problems.py asked pydantic about all of these.
func TestProblemsAreThoseOfPydantic(t *testing.T) {
	file, err := os.ReadFile("testdata/problems.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Bodies     []struct{ Body, Detail json.RawMessage }
		Parameters []struct {
			Name, Text string
			Detail     json.RawMessage
		}
	}
	if err := json.Unmarshal(file, &golden); err != nil {
		t.Fatal(err)
	}
	check := func(name string, detail json.RawMessage, method, target, body string) {
		t.Helper()
		g := newRig(t, func(o *Options) { o.MaxTimeout = 0 })
		w := g.send(method, target, body)
		var want bytes.Buffer
		if err := json.Compact(&want, []byte(`{"detail":`+string(detail)+`}`)); err != nil {
			t.Fatal(err)
		}
		switch refused := want.String() != `{"detail":[]}`; {
		case !refused && w.Code == http.StatusUnprocessableEntity:
			t.Errorf("%.200s is refused: %.500s", name, w.Body)
		case refused && (w.Code != http.StatusUnprocessableEntity || !sameJSON(t, w.Body.Bytes(), want.Bytes())):
			t.Errorf("%.200s\n got %d %.500s\nwant 422 %.500s", name, w.Code, w.Body, &want)
		}
		if w.Code != http.StatusOK {
			g.unchanged()
		}
	}
	for _, b := range golden.Bodies {
		check(string(b.Body), b.Detail, "POST", "/execute", string(b.Body))
	}
	routes := map[string]string{"limit": "/executions?limit=", "offset": "/executions?offset=", "wait": "/jobs/x/result?wait=", "timeout": "/jobs/x/result?timeout="}
	for _, p := range golden.Parameters {
		method, target := "GET", routes[p.Name]+url.QueryEscape(p.Text)
		if p.Name == "entry_id" {
			method, target = "DELETE", "/dlq/"+url.PathEscape(p.Text)
		}
		if target != "/dlq/" { // is another path
			check(p.Name+"="+p.Text, p.Detail, method, target, "")
		}
	}
}

// sameJSON compares texts but for how characters are escaped.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var texts [2]string
	for i, doc := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v: %.200s", err, doc)
		}
		again, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(again)
	}
	return texts[0] == texts[1]
}
