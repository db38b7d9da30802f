package api

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/job"
)

const (
	maxCodeChars   = 100_000
	maxItems       = 1000
	maxTimeoutEver = 86_400
)

// tables are what the fields of requests are held against. They are made once,
// for the options of this server.
type tables struct {
	execute, batch, rerun, fork, jobType, key, secret schema.Type
}

func newTables(o Options) *tables {
	t := &tables{execute: executeTable(o), jobType: jobTypeTable(), key: keyTable(o), secret: secretTable()}
	t.batch = schema.Type{Kind: schema.Object, Name: "BatchRequest", Fields: []schema.Field{
		{Name: "items", Required: true, Type: schema.Type{Kind: schema.List, MinLen: 1, MaxLen: maxItems, Items: &t.execute,
			Doc: "the jobs; all are taken or none"}},
		field("labels", labelsType()),
		field("webhook_url", webhookType(o)),
		field("idempotency_key", idempotencyType()),
	}}
	t.rerun = schema.Type{Kind: schema.Object, Name: "RerunRequest", Fields: derivationFields(o)}
	t.fork = schema.Type{Kind: schema.Object, Name: "ForkRequest", Fields: append([]schema.Field{{Name: "code", Required: true, Type: codeType(o)}}, derivationFields(o)...)}
	return t
}

func field(name string, t schema.Type) schema.Field { return schema.Field{Name: name, Type: t} }

func between(kind schema.Kind, least, most float64, doc string) schema.Type {
	return schema.Type{Kind: kind, Null: true, Bounded: true, Min: least, Max: most, Doc: doc}
}

func executeTable(o Options) schema.Type {
	return schema.Type{Kind: schema.Object, Name: "ExecuteRequest", Fields: []schema.Field{
		{Name: "code", Required: true, Type: codeType(o)},
		field("input_data", schema.Type{Kind: schema.Free, Default: map[string]any{}, MaxBytes: int(o.MaxInputBytes),
			Doc: "a JSON object, which the program finds in /input/data.json, byte for byte"}),
		field("timeout", timeoutType()),
		field("startup_timeout", between(schema.Integer, 10, 600, "seconds until user code starts, packages included; the job type's by default")),
		field("job_type", jobTypeName()),
		field("idempotency_key", idempotencyType()),
		field("requirements", schema.Type{Kind: schema.List, Null: true, MaxLen: 50, Items: &schema.Type{Kind: schema.String},
			Doc: "Python packages, and npm packages as npm:name@version, that are installed first; where the server allows it (allow_runtime_requirements)"}),
		field("language", schema.Type{Kind: schema.String, Null: true, Enum: []string{"python", "node", "bash"}, Doc: "the job type's by default, which is python unless it says otherwise"}),
		field("args", schema.Type{Kind: schema.List, Null: true, MaxLen: 64, Doc: "arguments of the program: sys.argv[1:]",
			Items: &schema.Type{Kind: schema.String, MaxBytes: 4096, NoNUL: true}}),
		field("env", schema.Type{Kind: schema.Map, Null: true, MaxLen: 64, Keys: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`),
			Items: &schema.Type{Kind: schema.String, MaxBytes: 32 << 10, NoNUL: true}, Doc: "environment variables of the program, beside those of the job type"}),
		field("stdin", schema.Type{Kind: schema.String, Null: true, MaxBytes: 1 << 20, Doc: "standard input of the program; closed by default"}),
		field("files", filesType()),
		field("limits", limitsType()),
		field("network", networkType("a narrower network than the job type's, which holds by default")),
		field("image", schema.Type{Kind: schema.String, Null: true, MinLen: 1, MaxLen: 512, NoNUL: true, Doc: "container image to run in, where the server allows it (allow_request_images)"}),
		field("priority", withDefault(between(schema.Integer, 1, 4, "which of the waiting jobs runs first: 1 before 4"), 2)),
		field("run_at", schema.Type{Kind: schema.String, Null: true, Format: "date-time", Holds: o.runAt, Doc: "run it not before this, at most 30 days ahead; not for /execute, which waits"}),
		field("retry", schema.Type{Kind: schema.String, Null: true, Enum: []string{"infrastructure", "never"}, Default: "infrastructure",
			Doc: "infrastructure: again where engine, disk or host failed, never for the program's own failure; never: not even after an interruption"}),
		field("labels", labelsType()),
		field("webhook_url", webhookType(o)),
		field("cancel_on_disconnect", schema.Type{Kind: schema.Bool, Null: true, Default: false, Doc: "of /execute: end the job when the caller is gone"}),
	}}
}

func withDefault(t schema.Type, value any) schema.Type {
	t.Default = value
	return t
}

func derivationFields(Options) []schema.Field {
	name, timeout := jobTypeName(), timeoutType()
	name.Doc = "another job type than the job's own, with @tag or @sha256:digest where it is to be that version"
	timeout.Doc = "seconds user code may take, instead of the job's own; at most the server's max_timeout (300 by default)"
	return []schema.Field{field("job_type", name), field("timeout", timeout)}
}

func codeType(o Options) schema.Type {
	return schema.Type{Kind: schema.String, MinLen: 1, MaxLen: maxCodeChars, MaxBytes: int(o.MaxCodeBytes), Doc: "the program; not only white space",
		Holds: func(v *schema.Value) string {
			if strings.TrimFunc(v.Text(), isPythonSpace) == "" {
				return "Code cannot be empty"
			}
			return ""
		}}
}

// isPythonSpace is what str.strip takes away: unicode.IsSpace, and four
// separators.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

func timeoutType() schema.Type {
	return between(schema.Integer, 1, maxTimeoutEver, "seconds user code may take, at most the server's max_timeout (300 by default); the job type's by default")
}

func jobTypeName() schema.Type {
	return schema.Type{Kind: schema.String, Null: true, MaxLen: 128, Pattern: regexp.MustCompile(`^[a-zA-Z0-9_-]+(@[a-zA-Z0-9_.@:-]+)?$`),
		Doc: "name of a job type, with @tag or @sha256:digest where it is to be that version; default by default"}
}

func idempotencyType() schema.Type {
	return schema.Type{Kind: schema.String, Null: true, MinLen: 8, MaxLen: 255, Pattern: regexp.MustCompile(`^[a-zA-Z0-9_-]+$`),
		Doc: "a repeat with the same key is answered with the first job; the same key with another request is 409"}
}

// labelsType takes any text as a key that a filter can name: ":" ends it there.
func labelsType() schema.Type {
	return schema.Type{Kind: schema.Map, Null: true, MaxLen: 16, Keys: regexp.MustCompile(`^[^:\x00-\x1f\x7f-\x9f]{1,63}$`), Holds: labelsProblem,
		Items: &schema.Type{Kind: schema.String, MaxBytes: 63, NoNUL: true}, Doc: "for finding jobs again: keys of at most 63 bytes without a colon"}
}

func labelsProblem(v *schema.Value) string {
	for key := range v.Entries() {
		if len(key) > 63 {
			return "the key of a label must have at most 63 bytes"
		}
	}
	return ""
}

func webhookType(o Options) schema.Type {
	return schema.Type{Kind: schema.String, Null: true, MinLen: 1, MaxLen: 2048, Format: "uri", Holds: o.webhookURL, Doc: "called with POST when it ends; https, or http where the server allows it"}
}

// limitsType has the widest ranges that a server can be configured for; the
// service knows what this one allows.
func limitsType() schema.Type {
	const mib, gib = 1 << 20, 1 << 30
	return schema.Type{Kind: schema.Object, Null: true, Doc: "other limits than the job type's: lower, or higher up to the max_* of the configuration", Fields: []schema.Field{
		field("memory", between(schema.Size, 64*mib, 32*gib, "memory of the job: bytes, or text such as 512m")),
		field("cpus", between(schema.Float, 0.1, 16, "processors of the job")),
		field("pids", between(schema.Integer, 1, 1000, "processes and threads")),
		field("disk", between(schema.Size, mib, 8*gib, "bytes of each writable file system, or text such as 100m")),
		field("stdout_bytes", between(schema.Integer, 0, gib, "bytes kept of stdout")),
		field("stderr_bytes", between(schema.Integer, 0, gib, "bytes kept of stderr")),
		field("artifact_bytes", between(schema.Integer, 0, 10*gib, "bytes of one artifact")),
	}}
}

func networkType(doc string) schema.Type {
	pattern := schema.Type{Kind: schema.String, MinLen: 1, MaxLen: 300, Holds: func(v *schema.Value) string { return job.PatternProblem(v.Text()) }}
	return schema.Type{Kind: schema.Object, Null: true, Doc: doc,
		Fields: []schema.Field{
			{Name: "mode", Required: true, Type: schema.Type{Kind: schema.String, Enum: []string{"none", "allow", "public"}, Doc: "none; allow: the hosts of allow; public: the internet, without private addresses"}},
			field("allow", schema.Type{Kind: schema.List, Null: true, MaxLen: 100, Items: &pattern,
				Doc: "with mode allow: api.example.com, *.example.com, 10.0.0.0/8, each with an optional :port or :port-port"}),
		},
		Holds: func(v *schema.Value) string {
			if v.Get("mode").Text() != "allow" && len(v.Get("allow").Items()) > 0 {
				return "allow is for the mode allow only"
			}
			return ""
		}}
}

// pageParams are the parameters of every list.
func pageParams(more ...schema.Field) []schema.Field {
	limit := withDefault(between(schema.Integer, 1, 1000, "items at most; has_more says whether there are others"), 100)
	offset := withDefault(between(schema.Integer, 0, math.Inf(1), "items to leave out before these"), 0)
	limit.Null, offset.Null = false, false
	return append(more, field("limit", limit), field("offset", offset))
}

func text(name, doc string) schema.Field {
	return field(name, schema.Type{Kind: schema.String, Doc: doc})
}

func timeoutAbove(most int) string {
	return fmt.Sprintf("timeout must be less than or equal to the configured max_timeout (%d seconds)", most)
}
