package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// JobType is a named environment with limits of its own.
type JobType struct {
	Name           string
	Requirements   []string // checked when they are installed, not here
	PythonVersion  string
	BaseImage      string
	Image          string   // another name of BaseImage
	Language       string   // of programs whose request names none
	SharedCode     []string // paths
	Preload        []string // modules
	Environment    map[string]string
	MemoryLimit    Size // bytes
	CPULimit       float64
	Timeout        int // seconds
	StartupTimeout int // seconds
	NetworkEnabled bool
	Network        job.Network // Mode is empty where the type does not say
	Secrets        []job.SecretBinding
	SessionEnabled bool
	GPU            GPU
	Limits         TypeLimits
}

// TypeLimits are limits of a job type beside memory, processors and time. What is
// not set is the configuration's.
type TypeLimits struct {
	PIDs                     *int
	Disk                     Size // bytes of each writable file system; 0 is not set
	Stdout, Stderr, Artifact *int // bytes
}

// GPU is what a job type asks for; tako has none to give.
type GPU struct {
	Enabled   bool
	Vendor    string // nvidia or amd; empty where not set
	Count     *int   // nil where not set
	DeviceIDs []string
}

// jobTypeRows is the table of a job type's keys.
func jobTypeRows() []row[JobType] {
	rows := []row[JobType]{
		{name: "name", at: func(t *JobType) any { return &t.Name }, defDoc: "required",
			rule: matching(`[A-Za-z0-9_-]{1,64}`, "1 to 64 letters, digits, - and _"), doc: "name that requests use"},
		{name: "requirements", at: func(t *JobType) any { return &t.Requirements }, defDoc: "[]",
			doc: "packages: Python's, and npm's as npm:name@version"},
		{name: "python_version", def: "3.11", at: func(t *JobType) any { return &t.PythonVersion },
			rule: matching(`3\.([89]|1[0-9])`, "3.8 to 3.19"), doc: "Python version"},
		{name: "base_image", at: func(t *JobType) any { return &t.BaseImage }, nullable: true,
			doc: "image to run in"},
		{name: "image", at: func(t *JobType) any { return &t.Image }, nullable: true,
			doc: "the same, by its shorter name"},
		{name: "language", at: func(t *JobType) any { return &t.Language }, defDoc: "python", nullable: true,
			rule: optional(oneOf("python", "node", "bash")), doc: "language of programs whose request names none"},
		{name: "shared_code", at: func(t *JobType) any { return &t.SharedCode }, defDoc: "[]",
			doc: "paths that are put on PYTHONPATH"},
		{name: "preload", at: func(t *JobType) any { return &t.Preload }, defDoc: "[]",
			rule: modules(), doc: "Python modules that are imported before a job comes, so that they cost it nothing"},
		{name: "environment", at: func(t *JobType) any { return &t.Environment }, defDoc: "{}",
			rule: environment(), show: maskValues, doc: "environment variables of user code; env is the same key"},
		{name: "memory_limit", def: "512m", at: func(t *JobType) any { return &t.MemoryLimit }, raw: memorySuffix(),
			rule: sizeBetween(64<<20, 32<<30), doc: "bytes of memory; suffix m or g"},
		{name: "cpu_limit", def: 1.0, at: func(t *JobType) any { return &t.CPULimit },
			rule: between(0.1, 16), doc: "processors"},
		{name: "timeout", def: 30, at: func(t *JobType) any { return &t.Timeout },
			rule: between(1, 3600), doc: "seconds user code may take; at most max_timeout"},
		{name: "startup_timeout", def: 120, at: func(t *JobType) any { return &t.StartupTimeout },
			rule: between(10, 600), doc: "seconds until user code starts"},
		{name: "network_enabled", def: false, at: func(t *JobType) any { return &t.NetworkEnabled },
			doc: "network mode public"},
		{name: "network.mode", at: func(t *JobType) any { return (*string)(&t.Network.Mode) }, defDoc: "none", nullable: true, fold: strings.ToLower,
			rule: optional(oneOf("none", "allow", "public")), doc: "what jobs reach: nothing, what allow names, or the internet without private addresses"},
		{name: "network.allow", at: func(t *JobType) any { return &t.Network.Allow }, defDoc: "[]", nullable: true,
			rule: hostPatterns(), doc: "with mode allow: api.example.com, *.example.com, 203.0.113.0/24, each with an optional :port or :port-port"},
		{name: "secrets", at: func(t *JobType) any { return &t.Secrets }, defDoc: "[]", nullable: true,
			rule: bindings(), doc: "name, host and header of each: programs see a placeholder, whose place the value takes in that header of requests by HTTPS to that host"},
		{name: "session_enabled", def: false, at: func(t *JobType) any { return &t.SessionEnabled },
			doc: "usable in sessions"},
		{name: "gpu.enabled", def: false, at: func(t *JobType) any { return &t.GPU.Enabled },
			doc: "needs a vendor, too"},
		{name: "gpu.vendor", at: func(t *JobType) any { return &t.GPU.Vendor }, nullable: true, fold: strings.ToLower,
			rule: optional(oneOf("nvidia", "amd")), doc: "whose GPU"},
		{name: "gpu.count", at: func(t *JobType) any { return &t.GPU.Count }, nullable: true,
			rule: ifSet(between(1, 16)), doc: "number of GPUs, nvidia only; not with device_ids"},
		{name: "gpu.device_ids", at: func(t *JobType) any { return &t.GPU.DeviceIDs }, nullable: true,
			rule: deviceIDs(), doc: "which GPUs; not with count"},
	}
	rows = append(rows, typeLimitRows()...)
	acts := map[string]bool{"requirements": true, "base_image": true, "image": true, "language": true, "limits.pids": true, "limits.disk": true,
		"limits.stdout_bytes": true, "limits.stderr_bytes": true, "limits.artifact_bytes": true, "name": true, "preload": true, "environment": true, "memory_limit": true, "cpu_limit": true, "timeout": true, "startup_timeout": true,
		"network_enabled": true, "network.mode": true, "network.allow": true, "secrets": true}
	for i := range rows {
		rows[i].notYet = !acts[rows[i].name]
	}
	return rows
}

func typeLimitRows() []row[JobType] {
	bytes := ifSet(between(0, 1<<30))
	return []row[JobType]{
		{name: "limits.pids", at: func(t *JobType) any { return &t.Limits.PIDs }, nullable: true, rule: ifSet(between(1, 1000)),
			doc: "processes and threads together"},
		{name: "limits.disk", at: func(t *JobType) any { return &t.Limits.Disk }, nullable: true, rule: ifSize(sizeBetween(1<<20, 8<<30)),
			doc: "bytes of each writable file system"},
		{name: "limits.stdout_bytes", at: func(t *JobType) any { return &t.Limits.Stdout }, nullable: true, rule: bytes, doc: "bytes kept of stdout"},
		{name: "limits.stderr_bytes", at: func(t *JobType) any { return &t.Limits.Stderr }, nullable: true, rule: bytes, doc: "bytes kept of stderr"},
		{name: "limits.artifact_bytes", at: func(t *JobType) any { return &t.Limits.Artifact }, nullable: true, rule: bytes, doc: "bytes of one artifact"},
	}
}

// assignJobTypes decodes the list with the table of its own.
func assignJobTypes(field string, to *[]JobType, in any) Problems {
	items, ok := in.([]any)
	if !ok {
		return wrongType(field, "a list", in)
	}
	rows := jobTypeRows()
	var found Problems
	list := make([]JobType, len(items))
	for i, item := range items {
		name := fmt.Sprintf("%s[%d]", field, i)
		setDefaults(rows, &list[i])
		tree, ok := item.(map[string]any)
		if !ok {
			found = append(found, wrongType(name, "a mapping", item)...)
			continue
		}
		tree, wrong := oneEnvironment(name+".", tree)
		wrong = append(wrong, decode(rows, name+".", tree, &list[i])...)
		if _, named := tree["name"]; !named {
			wrong = append(wrong, problem(name+".name", "is required")...)
		}
		found = append(found, wrong...)
	}
	// Kept in spite of problems, so that rules report what else is wrong.
	*to = list
	return found
}

// oneEnvironment gives the variables of a job type their one name: env is another.
func oneEnvironment(prefix string, tree map[string]any) (map[string]any, Problems) {
	short, ok := tree["env"]
	if !ok {
		return tree, nil
	}
	tree = maps.Clone(tree)
	delete(tree, "env")
	if _, both := tree["environment"]; both {
		return tree, problem(prefix+"env", "and environment are one key; leave one of them out")
	}
	tree["environment"] = short
	return tree, nil
}

// checkJobTypes applies the rules of every field, and where they hold those
// that look at several.
func (c *Config) checkJobTypes() Problems {
	var found Problems
	rows := jobTypeRows()
	first := map[string]int{}
	for i := range c.JobTypes {
		t, prefix := &c.JobTypes[i], fmt.Sprintf("job_types[%d].", i)
		if wrong := check(rows, prefix, t); len(wrong) > 0 {
			found = append(found, wrong...)
			continue
		}
		if j, ok := first[t.Name]; ok {
			found = append(found, problem(prefix+"name", "is the name of job_types[%d], too", j)...)
		}
		first[t.Name] = i
		found = append(found, t.GPU.check(prefix+"gpu.")...)
		found = append(found, t.checkNetwork(prefix+"network.")...)
		found = append(found, t.checkSecrets(prefix+"secrets")...)
		if t.Image != "" && t.BaseImage != "" && t.Image != t.BaseImage {
			found = append(found, problem(prefix+"image", "and base_image name two images; leave one of them out")...)
		}
	}
	return found
}

func (g GPU) check(prefix string) Problems {
	switch {
	case !g.Enabled && (g.Vendor != "" || g.Count != nil || len(g.DeviceIDs) > 0):
		return problem(prefix+"enabled", "must be true where vendor, count or device_ids is set")
	case !g.Enabled:
		return nil
	case g.Vendor == "":
		return problem(prefix+"vendor", "is required where enabled is true")
	case g.Count != nil && g.Vendor != "nvidia":
		return problem(prefix+"count", "is for nvidia only; use device_ids")
	case g.Count != nil && len(g.DeviceIDs) > 0:
		return problem(prefix+"count", "cannot be set together with device_ids")
	}
	return nil
}

// ImageRef is the image that the type runs in; empty is this machine's
// environment.
func (t JobType) ImageRef() string { return cmp.Or(t.Image, t.BaseImage) }

// Policy is the type's network: what network says, or network_enabled.
func (t JobType) Policy() job.Network {
	switch {
	case t.Network.Mode != "":
		return t.Network
	case t.NetworkEnabled:
		return job.Network{Mode: job.NetworkPublic}
	}
	return job.Network{Mode: job.NetworkNone}
}

func (t JobType) checkNetwork(prefix string) Problems {
	switch n := t.Network; {
	case n.Mode == job.NetworkAllow && len(n.Allow) == 0:
		return problem(prefix+"allow", "must name what jobs may reach where mode is allow")
	case n.Mode != job.NetworkAllow && len(n.Allow) > 0:
		return problem(prefix+"mode", "must be allow where allow is set")
	case t.NetworkEnabled && n.Mode != "" && n.Mode != job.NetworkPublic:
		return problem(prefix+"mode", "is %s, and network_enabled means public; leave one of them out", n.Mode)
	}
	return nil
}

func memorySuffix() rule {
	return rule{check: func(in any) string {
		suffix := regexp.MustCompile(`^[0-9]+[mMgG]$`)
		if s, ok := in.(string); ok && !suffix.MatchString(s) {
			return "must be a whole number with suffix m or g, such as 512m"
		} else if !ok {
			return "must be text with suffix m or g, such as 512m, not " + typeName(in)
		}
		return ""
	}}
}

const maxEnvValue = 32768

func environment() rule {
	return rule{"names of [A-Za-z_][A-Za-z0-9_]*, values up to 32768 bytes without NUL", func(v any) string {
		env, _ := v.(map[string]string)
		if len(env) == 0 {
			return ""
		}
		name := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
		for _, key := range slices.Sorted(maps.Keys(env)) {
			switch {
			case !name.MatchString(key):
				return "a name is not [A-Za-z_][A-Za-z0-9_]* of at most 256 characters"
			case len(env[key]) > maxEnvValue:
				return "the value of " + key + " is over 32768 bytes"
			case strings.Contains(env[key], "\x00"):
				return "the value of " + key + " contains a NUL"
			}
		}
		return ""
	}}
}

// modules takes names of Python modules.
func modules() rule {
	const most = 64
	return rule{"at most 64 names such as numpy or os.path", func(v any) string {
		names, _ := v.([]string)
		if len(names) > most {
			return "must have at most 64 items"
		}
		for i, name := range names {
			if !job.ValidModule(name) {
				return fmt.Sprintf("item %d must be the name of a Python module, such as numpy or os.path", i+1)
			}
		}
		return ""
	}}
}

// hostPatterns takes the patterns of a network policy.
func hostPatterns() rule {
	const most = 100
	return rule{"at most 100 patterns such as api.example.com, *.example.com:443 or 203.0.113.0/24", func(v any) string {
		patterns, _ := v.([]string)
		if len(patterns) > most {
			return "must have at most 100 items"
		}
		for i, p := range patterns {
			if msg := job.PatternProblem(p); msg != "" {
				return fmt.Sprintf("item %d: %s", i+1, msg)
			}
		}
		return ""
	}}
}

func deviceIDs() rule {
	return rule{"at most 16, unique, not empty, without commas", func(v any) string {
		ids, _ := v.([]string)
		if len(ids) > 16 {
			return "must have at most 16 items"
		}
		for i, id := range ids {
			if id == "" || strings.Contains(id, ",") {
				return fmt.Sprintf("item %d must not be empty or contain a comma", i+1)
			}
			if slices.Contains(ids[:i], id) {
				return fmt.Sprintf("item %d is there twice", i+1)
			}
		}
		return ""
	}}
}
