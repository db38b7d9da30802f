package jobtype

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

func database(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tako.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func plain(name string, timeout int) config.JobType {
	return config.JobType{Name: name, PythonVersion: "3.11", MemoryLimit: 64 << 20, CPULimit: 1, Timeout: timeout, StartupTimeout: 10}
}

// The configuration wins over the API, that over job_types.json, that over what
// is built in.
func TestOrigins(t *testing.T) {
	cfg := config.Default(t.TempDir())
	cfg.JobTypes = []config.JobType{plain("a", 1)}
	db := database(t)
	old := New(Options{Config: config.Default(t.TempDir()), Stored: db})
	for _, name := range []string{"a", "b"} {
		if err := old.Put(t.Context(), plain(name, 2), true); err != nil {
			t.Fatal(err)
		}
	}
	r := New(Options{Config: cfg, Stored: db, File: []config.JobType{plain("a", 3), plain("b", 3), plain("c", 3), plain("ml-inference", 3)}})
	list, err := r.List(t.Context())
	got := map[string]int{}
	for _, typ := range list {
		got[typ.Name] = typ.Timeout
		resolved, err := r.Resolve(t.Context(), typ.Name)
		if err != nil || resolved.Limits.Execution != time.Duration(typ.Timeout)*time.Second {
			t.Errorf("%s is resolved to %v, %v", typ.Name, resolved.Limits.Execution, err)
		}
	}
	if err != nil || got["a"] != 1 || got["b"] != 2 || got["c"] != 3 || got["ml-inference"] != 3 || got["data-processing"] != 60 {
		t.Errorf("%v, %v", got, err)
	}
	if err := r.Delete(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	if b, err := r.Get(t.Context(), "b"); err != nil || b.Timeout != 3 {
		t.Errorf("below the one that was removed: %+v, %v", b, err)
	}
}

// What another server has changed is seen after a second.
func TestOtherServers(t *testing.T) {
	db := database(t)
	now := time.Unix(0, 0)
	cfg := config.Default(t.TempDir())
	here := New(Options{Config: cfg, Stored: db, Now: func() time.Time { return now }})
	there := New(Options{Config: cfg, Stored: db})
	if _, err := here.Get(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if err := there.Put(t.Context(), plain("new", 1), true); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lag)
	if _, err := here.Get(t.Context(), "new"); err != nil {
		t.Error(err)
	}
}

// A version is in what it was built in, whatever the type is now, but what jobs
// may use and reach is the type's of now.
func TestVersionsStay(t *testing.T) {
	r := New(Options{Config: config.Default(t.TempDir()), Stored: database(t)})
	old := plain("mine", 1)
	old.Environment = map[string]string{"A": "old"}
	old.Network = job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}}
	old.Secrets = []job.SecretBinding{{Name: "K", Host: "a.example"}}
	if err := r.Put(t.Context(), old, true); err != nil {
		t.Fatal(err)
	}
	v, err := r.AddVersion(t.Context(), Build{Type: old, Environment: job.EnvironmentRef{Name: "python", Digest: "eeee"}, Tag: "stable"})
	if err != nil || v.Number != 1 {
		t.Fatal(v, err)
	}
	if err := r.Put(t.Context(), plain("mine", 9), false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddVersion(t.Context(), Build{Type: plain("mine", 9), Environment: job.EnvironmentRef{Name: "python", Digest: "ffff"}}); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"v1", "stable", "sha256:" + v.Digest, "sha256:" + v.Digest[:12]} {
		got, err := r.Resolve(t.Context(), "mine@"+ref)
		if err != nil || got.Env["A"] != "old" || got.Limits.Execution != 9*time.Second || got.Environment != "eeee" ||
			got.Ref != "mine@sha256:"+v.Digest[:12] || got.Network.Open() || len(got.Secrets) > 0 {
			t.Errorf("%s is %+v, %v", ref, got, err)
		}
	}
	if now, err := r.Resolve(t.Context(), "mine"); err != nil || now.Environment != "" || now.Limits.Execution != 9*time.Second || now.Ref != "mine@latest" {
		t.Errorf("without a version: %+v, %v", now, err)
	}
	for _, ref := range []string{"v3", "other", "sha256:" + v.Digest[:11], "sha256:stable", "sha256:v1", "sha256:", v.Digest[:12] + "x", "sha256:" + strings.Repeat("0", 12)} {
		if _, err := r.Resolve(t.Context(), "mine@"+ref); job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "has no version '"+ref+"'") {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// broken is a database that does not answer.
type broken struct{ store.Store }

func (broken) ListJobTypes(context.Context) ([]store.JobType, error) {
	return nil, job.Errorf(job.KindUnavailable, "away")
}

// While the database is away, nobody is told that a type is not there.
func TestDatabaseIsAway(t *testing.T) {
	cfg := config.Default(t.TempDir())
	cfg.JobTypes = []config.JobType{plain("fixed", 1)}
	r := New(Options{Config: cfg, Stored: broken{}})
	for _, name := range []string{"unknown", "default", ""} {
		if _, err := r.Resolve(t.Context(), name); job.KindOf(err) != job.KindUnavailable {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := r.Resolve(t.Context(), "fixed"); err != nil {
		t.Errorf("of the configuration: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job_types.json")
	if types, skipped, err := ReadFile(path); err != nil || len(types)+len(skipped) > 0 {
		t.Errorf("no file: %v, %v, %v", types, skipped, err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"job_types": [{"name": "a", "memory_limit": "1g", "cpu_limit": 2.0, "timeout": 60, "startup_timeout": 120}, {"name": "b", "colour": "red"}, {"name": "a"}, 3]}`)
	types, skipped, err := ReadFile(path)
	if err != nil || len(types) != 1 || types[0].Name != "a" || types[0].MemoryLimit != 1<<30 || len(skipped) != 3 || !strings.Contains(skipped[0], "entry 2") {
		t.Errorf("%+v, %q, %v", types, skipped, err)
	}
	for _, text := range []string{"", "[]", `{"job_types": {}}`, "{", strings.Repeat(" ", maxFile+1)} {
		write(text)
		if _, _, err := ReadFile(path); job.KindOf(err) != job.KindConfig {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
