package api

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
)

func keyTable(o Options) schema.Type {
	return schema.Type{Kind: schema.Object, Name: "KeyRequest", Fields: []schema.Field{
		{Name: "name", Required: true, Type: schema.Type{Kind: schema.String, MinLen: 1, MaxLen: 64, NoNUL: true, Doc: "to know it by"}},
		{Name: "scopes", Required: true, Type: schema.Type{Kind: schema.List, MinLen: 1, MaxLen: 3,
			Items: &schema.Type{Kind: schema.String, Enum: []string{"read", "execute", "admin"}}, Holds: noneTwice, Doc: "what it may do: read looks, execute runs and removes, admin does everything and sees what others made"}},
		field("expires_at", schema.Type{Kind: schema.String, Null: true, Format: "date-time", Doc: "when it ends; never by default",
			Holds: o.expiresAt}),
	}}
}

// expiresAt refuses a key that nobody could use.
func (o Options) expiresAt(v *schema.Value) string {
	if msg := timeProblem("expires_at", v.Text()); msg != "" {
		return msg
	}
	if at, _ := time.Parse(time.RFC3339, v.Text()); !at.After(o.Now()) {
		return "expires_at must be in the future"
	}
	return ""
}

func noneTwice(v *schema.Value) string {
	texts := v.Texts()
	for i, t := range texts {
		if slices.Contains(texts[:i], t) {
			return t + " is there twice"
		}
	}
	return ""
}

func timeProblem(name, value string) string {
	if _, err := time.Parse(time.RFC3339, value); err != nil {
		return name + " must be an RFC 3339 time"
	}
	return ""
}

// jobTypeTable has the ranges of the configuration's job types.
func jobTypeTable() schema.Type {
	texts := func(doc string) schema.Type {
		return schema.Type{Kind: schema.List, Null: true, MaxLen: 1000, Items: &schema.Type{Kind: schema.String, MaxLen: 4096, NoNUL: true}, Doc: doc}
	}
	gpu := schema.Type{Kind: schema.Object, Null: true, Holds: gpuProblem, Doc: "of Tako VM; checked, and without effect", Fields: []schema.Field{
		field("enabled", schema.Type{Kind: schema.Bool, Null: true, Default: false, Doc: "a GPU is asked for"}),
		field("vendor", schema.Type{Kind: schema.String, Null: true, Enum: []string{"nvidia", "amd"}, Doc: "required where it is enabled"}),
		field("count", between(schema.Integer, 1, 16, "how many, of nvidia only; not with device_ids")),
		field("device_ids", schema.Type{Kind: schema.List, Null: true, MaxLen: 16, Holds: noneTwice, Doc: "not with count",
			Items: &schema.Type{Kind: schema.String, MinLen: 1, Pattern: regexp.MustCompile(`^[^,]+$`)}}),
	}}
	variables := func(doc string) schema.Type {
		return schema.Type{Kind: schema.Map, Null: true, MaxLen: 64, Keys: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`),
			Items: &schema.Type{Kind: schema.String, MaxBytes: 32 << 10, NoNUL: true}, Doc: doc}
	}
	return schema.Type{Kind: schema.Object, Name: "JobTypeRequest", Holds: oneEnvironment, Fields: []schema.Field{
		field("name", schema.Type{Kind: schema.String, Null: true, Pattern: jobTypePattern(), Doc: "the name in the path, if it is said twice"}),
		field("requirements", texts("Python packages, and npm packages as npm:name@version, that are installed for it")),
		field("python_version", schema.Type{Kind: schema.String, Null: true, Pattern: regexp.MustCompile(`^3\.([89]|1[0-9])$`), Default: "3.11", Doc: "of Tako VM; the environment decides which Python there is"}),
		field("base_image", schema.Type{Kind: schema.String, Null: true, MinLen: 1, MaxLen: 512, NoNUL: true, Doc: "container image that its jobs run in; this machine's Python by default"}),
		field("image", schema.Type{Kind: schema.String, Null: true, MinLen: 1, MaxLen: 512, NoNUL: true, Doc: "base_image, by its shorter name"}),
		field("language", schema.Type{Kind: schema.String, Null: true, Enum: []string{"python", "node", "bash"}, Doc: "of programs whose request names none; python by default"}),
		field("preload", texts("Python modules that are imported before a job comes")),
		field("network", networkType("what its jobs may reach; nothing by default")),
		field("secrets", bindingsType()),
		field("limits", typeLimitsType()),
		field("shared_code", texts("paths that are put on PYTHONPATH")),
		field("environment", variables("environment variables of its programs")),
		field("env", variables("environment, by its shorter name; one of the two")),
		field("memory_limit", schema.Type{Kind: schema.String, Null: true, Pattern: regexp.MustCompile(`^[0-9]+[mMgG]$`), Default: "512m", Doc: "memory of a job: 64m to 32g", Holds: memoryProblem}),
		field("cpu_limit", withDefault(between(schema.Float, 0.1, 16, "processors of a job"), 1)),
		field("timeout", withDefault(between(schema.Integer, 1, 3600, "seconds that user code may take, at most the server's max_timeout (300 by default)"), 30)),
		field("startup_timeout", withDefault(between(schema.Integer, 10, 600, "seconds until user code starts"), 120)),
		field("network_enabled", schema.Type{Kind: schema.Bool, Null: true, Default: false, Doc: "network: {mode: public}, as Tako VM has it"}),
		field("session_enabled", schema.Type{Kind: schema.Bool, Null: true, Default: false, Doc: "of Tako VM; without effect"}),
		field("gpu", gpu),
	}}
}

// oneEnvironment refuses variables under both of their names.
func oneEnvironment(v *schema.Value) string {
	if v.Get("environment").Has() && v.Get("env").Has() {
		return "env and environment are one field; leave one of them out"
	}
	return ""
}

// typeLimitsType are the limits of a type beside memory, processors and time.
func typeLimitsType() schema.Type {
	const mib, gib = 1 << 20, 1 << 30
	return schema.Type{Kind: schema.Object, Null: true, Doc: "other limits than the configuration's", Fields: []schema.Field{
		field("pids", between(schema.Integer, 1, 1000, "processes and threads")),
		field("disk", between(schema.Size, mib, 8*gib, "bytes of each writable file system, or text such as 100m")),
		field("stdout_bytes", between(schema.Integer, 0, gib, "bytes kept of stdout")),
		field("stderr_bytes", between(schema.Integer, 0, gib, "bytes kept of stderr")),
		field("artifact_bytes", between(schema.Integer, 0, gib, "bytes of one artifact")),
	}}
}

func jobTypePattern() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`) }

func memoryProblem(v *schema.Value) string {
	if n, err := config.ParseSize(v.Text()); err != nil || n < 64<<20 || n > 32<<30 {
		return "memory_limit must be between 64m and 32g"
	}
	return ""
}

func gpuProblem(v *schema.Value) string {
	enabled, vendor := v.Get("enabled").Bool(), v.Get("vendor").Text()
	count, devices := v.Get("count").Has(), len(v.Get("device_ids").Items()) > 0
	switch {
	case !enabled && (vendor != "" || count || devices):
		return "enabled must be true where vendor, count or device_ids is set"
	case enabled && vendor == "":
		return "vendor is required where enabled is true"
	case count && vendor != "nvidia":
		return "count is for nvidia only; use device_ids"
	case count && devices:
		return "count cannot be set together with device_ids"
	}
	return ""
}

func asInt(n *int64) *int {
	if n == nil {
		return nil
	}
	return new(int(*n))
}

// bindJobType makes the domain's job type of a request that passed the table.
func bindJobType(name string, v *schema.Value) config.JobType {
	t := config.JobType{
		Name: name, Requirements: v.Get("requirements").Texts(), PythonVersion: "3.11", BaseImage: v.Get("base_image").Text(),
		SharedCode: v.Get("shared_code").Texts(), Environment: v.Get("environment").Entries(), MemoryLimit: 512 << 20, CPULimit: 1,
		Timeout: 30, StartupTimeout: 120, NetworkEnabled: v.Get("network_enabled").Bool(), SessionEnabled: v.Get("session_enabled").Bool(),
	}
	if env := v.Get("env"); env.Has() {
		t.Environment = env.Entries()
	}
	t.Image, t.Language, t.Preload = v.Get("image").Text(), v.Get("language").Text(), v.Get("preload").Texts()
	if n := v.Get("network"); n.Has() {
		t.Network = job.Network{Mode: job.NetworkMode(n.Get("mode").Text()), Allow: n.Get("allow").Texts()}
	}
	t.Secrets = bindSecrets(v.Get("secrets"))
	l := bindLimits(v.Get("limits"))
	t.Limits = config.TypeLimits{PIDs: l.PIDs, Stdout: asInt(l.Stdout), Stderr: asInt(l.Stderr), Artifact: asInt(l.Artifact)}
	if l.Disk != nil {
		t.Limits.Disk = config.Size(*l.Disk)
	}
	if m := v.Get("python_version"); m.Has() {
		t.PythonVersion = m.Text()
	}
	if m := v.Get("memory_limit"); m.Has() {
		n, _ := config.ParseSize(m.Text()) // the table has held it
		t.MemoryLimit = config.Size(n)
	}
	if m := v.Get("cpu_limit"); m.Has() {
		t.CPULimit = m.Float()
	}
	if m := v.Get("timeout"); m.Has() {
		t.Timeout = int(m.Int())
	}
	if m := v.Get("startup_timeout"); m.Has() {
		t.StartupTimeout = int(m.Int())
	}
	if g := v.Get("gpu"); g.Has() {
		t.GPU = config.GPU{Enabled: g.Get("enabled").Bool(), Vendor: g.Get("vendor").Text(), DeviceIDs: g.Get("device_ids").Texts()}
		if c := g.Get("count"); c.Has() {
			n := int(c.Int())
			t.GPU.Count = &n
		}
	}
	return t
}

func scopes(texts []string) []job.Scope {
	var list []job.Scope
	for _, t := range texts {
		list = append(list, job.Scope(strings.ToLower(t)))
	}
	return list
}
