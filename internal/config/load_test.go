package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// world is an Options without a host behind it.
type world struct {
	env   map[string]string
	files map[string]string
	fails map[string]error // paths that exist and cannot be read
}

func (w world) options(path string) Options {
	return Options{
		Path: path, Home: "/home/ann", Dir: "/srv",
		LookupEnv: func(name string) (string, bool) {
			v, ok := w.env[name]
			return v, ok
		},
		ReadFile: func(path string) ([]byte, error) {
			if err := w.fails[path]; err != nil {
				return nil, &fs.PathError{Op: "open", Path: path, Err: err}
			}
			text, ok := w.files[path]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
			}
			return []byte(text), nil
		},
	}
}

// loadText loads one file's text.
func loadText(text string) (*Config, error) {
	w := world{files: map[string]string{"/c.yaml": text}}
	return Load(w.options("/c.yaml"))
}

func mustLoad(t *testing.T, w world, path string) *Config {
	t.Helper()
	c, err := Load(w.options(path))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func TestSearchOrder(t *testing.T) {
	order := []string{"/env.yaml", "/srv/tako_vm.yaml", "/srv/config/tako_vm.yaml", "/home/ann/.tako_vm/config.yaml", "/etc/tako_vm/config.yaml"}
	w := world{files: map[string]string{"/named.yaml": ""}, env: map[string]string{"TAKO_VM_CONFIG": "/env.yaml"}}
	for _, path := range order {
		w.files[path] = ""
	}
	if c := mustLoad(t, w, "/named.yaml"); c.File != "/named.yaml" {
		t.Errorf("a named file: read %q", c.File)
	}
	for _, want := range order {
		if c := mustLoad(t, w, ""); c.File != want {
			t.Errorf("read %q, want %q", c.File, want)
		}
		delete(w.files, want)
	}
	if c := mustLoad(t, w, ""); c.File != "" {
		t.Errorf("no file is left, yet read %q", c.File)
	}
}

func TestSearchFailures(t *testing.T) {
	w := world{}
	_, err := Load(w.options("gone.yaml"))
	if err == nil || err.Error() != "Config file not found: gone.yaml" || job.KindOf(err) != job.KindConfig {
		t.Errorf("a named file that is missing: %v", err)
	}
	w.fails = map[string]error{"/srv/tako_vm.yaml": syscall.EACCES}
	if _, err := Load(w.options("")); !errors.Is(err, fs.ErrPermission) || job.KindOf(err) != job.KindConfig {
		t.Errorf("an unreadable file was not reported: %v", err)
	}
	w.fails = map[string]error{"/srv/config/tako_vm.yaml": syscall.ENOTDIR}
	if _, err := Load(w.options("")); err != nil {
		t.Errorf("./config is a file: %v", err)
	}
	w.env = map[string]string{"TAKO_VM_CONFIG": "/gone.yaml"}
	if c := mustLoad(t, w, ""); !slices.ContainsFunc(c.Warnings(), func(s string) bool { return strings.Contains(s, "/gone.yaml") }) {
		t.Errorf("TAKO_VM_CONFIG names nothing; warnings %q", c.Warnings())
	}
}

func TestHostReadsFiles(t *testing.T) {
	dir := t.TempDir()
	o := Host(filepath.Join(dir, "missing.yaml"))
	if _, err := Load(o); err == nil || !strings.HasPrefix(err.Error(), "Config file not found: ") {
		t.Errorf("Load = %v", err)
	}
	if _, err := o.ReadFile(dir); err == nil {
		t.Error("a directory was read")
	}
}

func TestDataDir(t *testing.T) {
	for _, tc := range []struct {
		name, xdg, env, file, home, want string
	}{
		{name: "default", home: "/home/ann", want: "/home/ann/.tako_vm"},
		{name: "xdg", home: "/home/ann", xdg: "/xdg", want: "/xdg/tako_vm"},
		{name: "relative xdg is ignored", home: "/home/ann", xdg: "xdg", want: "/home/ann/.tako_vm"},
		{name: "file", home: "/home/ann", file: "/var/tako", xdg: "/xdg", want: "/var/tako"},
		{name: "environment", home: "/home/ann", env: "/env", file: "/var/tako", want: "/env"},
		{name: "home in a path", home: "/home/ann", file: "~/d", want: "/home/ann/d"},
		{name: "relative", home: "/home/ann", file: "d", want: "/srv/d"},
		{name: "no home"},
		{name: "no home, set", env: "/env", want: "/env"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := world{env: map[string]string{"XDG_DATA_HOME": tc.xdg, "TAKO_VM_DATA_DIR": tc.env}, files: map[string]string{}}
			if tc.file != "" {
				w.files["/srv/tako_vm.yaml"] = "data_dir: " + `"` + tc.file + `"`
			}
			o := w.options("")
			o.Home = tc.home
			c, err := Load(o)
			if tc.want == "" {
				if err == nil || !strings.Contains(err.Error(), "field data_dir: ") {
					t.Errorf("Load = %v, want an error about data_dir", err)
				}
				return
			}
			if err != nil || c.DataDir != tc.want {
				t.Errorf("DataDir = %+v, %v, want %q", c, err, tc.want)
			}
		})
	}
}

func TestEnvironmentOverridesFile(t *testing.T) {
	w := world{
		files: map[string]string{"/c.yaml": "api_rate_limit_requests: 7\nserver_port: 9000\ncontainer_limits: {pids_limit: 20}\n"},
		env:   map[string]string{"TAKO_VM_API_RATE_LIMIT_REQUESTS": " 9 ", "TAKO_VM_API_AUTH_HEADER": ""},
	}
	c := mustLoad(t, w, "/c.yaml")
	if c.APIRateLimitRequests != 9 || c.APIAuthHeader != "X-API-Key" {
		t.Errorf("requests %d, header %q", c.APIRateLimitRequests, c.APIAuthHeader)
	}
	for key, want := range map[string]string{
		"api_rate_limit_requests":     "TAKO_VM_API_RATE_LIMIT_REQUESTS",
		"server_port":                 "file",
		"container_limits.pids_limit": "file",
		"api_auth_header":             "default",
	} {
		if got := c.Source(key); got != want {
			t.Errorf("Source(%s) = %q, want %q", key, got, want)
		}
	}
}

func TestEnvironmentVariables(t *testing.T) {
	good := map[string]struct{ text, want string }{
		"TAKO_VM_API_KEYS":             {" 0123456789abcdef , ,fedcba9876543210", `["***","***"]`},
		"TAKO_VM_API_AUTH_HEADER":      {"X-Other", `"X-Other"`},
		"TAKO_VM_DATA_DIR":             {"/d", `"/d"`},
		"TAKO_VM_DATABASE_URL":         {"postgresql+psycopg://u:pw@h/d", `"postgresql+psycopg://u:***@h/d"`},
		"TAKO_VM_DEPENDENCY_PROXY_URL": {"http://proxy:3128", `"http://proxy:3128"`},
		"TAKO_VM_CONTAINER_RUNTIME":    {"RUNSC", `"runsc"`},
		"TAKO_VM_SECURITY_MODE":        {"Permissive", `"permissive"`},
		"TAKO_VM_BLOB_URL":             {"s3://b/p", `"s3://b/p"`},
		"TAKO_VM_SERVER_SOCKET":        {"/run/tako.sock", `"/run/tako.sock"`},
		"TAKO_VM_OTLP_ENDPOINT":        {"http://c:4318", `"http://c:4318"`},
		"TAKO_VM_WEBHOOK_SECRET":       {"0123456789abcdef", `"***"`},
	}
	for _, r := range configRows() {
		if r.env == "" {
			continue
		}
		t.Run(r.env, func(t *testing.T) {
			switch value(r.at(Default("/d"))).(type) {
			case bool:
				for text, want := range map[string]string{"true": "true", "YES": "true", "1": "true", "on": "false", "0": "false", "nonsense": "false"} {
					expectEnv(t, r.env, text, r.name, want)
				}
			case int, int64:
				expectEnv(t, r.env, "2048", r.name, "2048")
				w := world{env: map[string]string{r.env: "12x"}}
				want := "field " + r.name + ": must be a whole number, not text (in " + r.env + ")"
				if _, err := Load(w.options("")); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("12x: %v, want %q", err, want)
				}
			default:
				tc, ok := good[r.env]
				if !ok {
					t.Fatal("the test has no value for this variable")
				}
				expectEnv(t, r.env, tc.text, r.name, tc.want)
			}
		})
	}
}

func expectEnv(t *testing.T, env, text, key, want string) {
	t.Helper()
	c := mustLoad(t, world{env: map[string]string{env: text}}, "")
	if got := entry(t, c, key); got != want {
		t.Errorf("%s=%s: %s is %s, want %s", env, text, key, got, want)
	}
}

func TestIgnoredVariablesAreExplained(t *testing.T) {
	c := mustLoad(t, world{env: map[string]string{"TAKO_VM_WORKSPACE": "/tmp/w"}}, "")
	if got := strings.Join(c.Warnings(), "\n"); !strings.Contains(got, "TAKO_VM_WORKSPACE has no effect") {
		t.Errorf("Warnings = %q", got)
	}
}

func TestYAMLFailures(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "max_worker: 3", "field max_worker: unknown key; did you mean max_workers?"},
		{"unknown, nothing near", "zzzzzzzzz: 3", "field zzzzzzzzz: unknown key"},
		{"unknown nested", "container_limits: {fsizes: 3}", "field container_limits.fsizes: unknown key; did you mean container_limits.fsize?"},
		{"variables under both names", "job_types: [{name: a, env: {A: b}, environment: {A: b}}]", "field job_types[0].env: and environment are one key; leave one of them out"},
		{"variables that are none", "job_types: [{name: a, env: [A]}]", "field job_types[0].environment: must be a mapping, not a list"},
		{"unknown in a job type", "job_types: [{name: a, timeouts: 3}]", "field job_types[0].timeouts: unknown key; did you mean timeout?"},
		{"dotted key", "container_limits.fsize: 1048576", "a key with a dot"},
		{"key that is no name", "'hunter2 is my password': 3", "a key that is not a plain name"},
		{"duplicate", "max_workers: 1\nmax_workers: 2", "field max_workers: given twice, the second time in line 2"},
		{"duplicate nested", "container_limits: {fsize: 1, fsize: 2}", "field fsize: given twice"},
		{"not a mapping", "- 1", "must be a mapping of keys to values, not a list"},
		{"two documents", "max_workers: 1\n---\nmax_workers: 2", "one YAML document"},
		{"syntax", "max_workers: [1,\n2", "not valid YAML in line "},
		{"unknown anchor", "api_keys: [*hunter2hunter2hunter2]", "unknown anchor ***"},
		{"cyclic", "job_types: &a\n  <<: *a", "not valid YAML"},
		{"mapping wanted", "container_limits: 3", "field container_limits: must be a mapping, not a number"},
		{"null", "max_workers:", "field max_workers: has no value"},
		{"too large", "max_workers: 1\n" + strings.Repeat("#", maxFileBytes), "over 1 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := loadText(tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Load = %v, want %q", err, tc.want)
			}
			if !strings.HasPrefix(err.Error(), "Invalid configuration: ") || job.KindOf(err) != job.KindConfig {
				t.Errorf("Load = %v, kind %s", err, job.KindOf(err))
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the file: %v", err)
			}
		})
	}
}

func TestEmptyFilesAreDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "null"} {
		c, err := loadText(text)
		if err != nil || c.MaxQueueSize != 10000 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEveryProblemIsListed(t *testing.T) {
	_, err := loadText("server_port: 0\nmax_workers: many\njob_types:\n- {name: a, timeout: 0}\n- {name: 'b c', cpu_limit: x}\n- 3\nnope: 1\n")
	var found Problems
	if !errors.As(err, &found) {
		t.Fatalf("Load = %v", err)
	}
	var fields []string
	for _, p := range found {
		fields = append(fields, p.Field)
	}
	slices.Sort(fields)
	want := []string{"job_types[0].timeout", "job_types[1].cpu_limit", "job_types[1].name", "job_types[2]", "max_workers", "nope", "server_port"}
	if !slices.Equal(fields, want) {
		t.Errorf("fields %q, want %q", fields, want)
	}
	if !strings.HasSuffix(err.Error(), "; the file is /c.yaml") {
		t.Errorf("the file is not named: %v", err)
	}
}
