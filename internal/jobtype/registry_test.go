package jobtype

import (
	"errors"
	"testing"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func registry(t *testing.T, production bool) *Registry {
	t.Helper()
	cfg := config.Default(t.TempDir())
	cfg.ProductionMode = production
	cfg.DefaultTimeout = 45
	cfg.JobTypes = []config.JobType{
		{Name: "mine", MemoryLimit: 256 << 20, CPULimit: 0.5, Timeout: 7, StartupTimeout: 11, Environment: map[string]string{"A": "b"},
			Limits: config.TypeLimits{PIDs: new(9), Disk: 5 << 20, Stdout: new(0)}, Language: "bash"},
		{Name: "ml-inference", MemoryLimit: 128 << 20, CPULimit: 1, Timeout: 1, StartupTimeout: 10},
	}
	return New(Options{Config: cfg})
}

func TestResolve(t *testing.T) {
	r := registry(t, false)
	for ref, want := range map[string]string{
		"": Default, "default": Default, "mine": "mine", "mine@latest": "mine", "unknown": Default, "unknown@v1": Default,
	} {
		got, err := r.Resolve(t.Context(), ref)
		if err != nil || got.Name != want || got.Ref != want+"@latest" {
			t.Errorf("%q is %+v, %v", ref, got, err)
		}
	}
	if _, err := r.Resolve(t.Context(), "mine@v1"); job.KindOf(err) != job.KindConfig {
		t.Errorf("an unknown version: %v", err)
	}
	if _, err := registry(t, true).Resolve(t.Context(), "unknown"); job.KindOf(err) != job.KindConfig {
		t.Errorf("an unknown type in production: %v", err)
	}
}

func TestLimitsOfTypes(t *testing.T) {
	r := registry(t, false)
	mine, err := r.Resolve(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	l := mine.Limits
	if l.Memory != 256<<20 || l.CPUs != 0.5 || l.Execution != 7*time.Second || l.Startup != 11*time.Second || l.PIDs != 9 || l.Disk != 5<<20 || l.Stdout != 0 || mine.Env["A"] != "b" || mine.Language != "bash" {
		t.Errorf("got %+v", mine)
	}
	plain, err := r.Resolve(t.Context(), "")
	if err != nil || plain.Limits.Execution != 45*time.Second {
		t.Errorf("the default type has %v, %v", plain.Limits.Execution, err)
	}
	if err := mine.Limits.Validate(); err != nil {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	r := registry(t, false)
	var names []string
	list, err := r.List(t.Context())
	for _, jt := range list {
		names = append(names, jt.Name)
	}
	if err != nil || len(names) != 4 || names[0] != "data-processing" || names[3] != "ml-inference" {
		t.Errorf("got %v, %v", names, err)
	}
	if jt, err := r.Get(t.Context(), "ml-inference"); err != nil || jt.Timeout != 1 {
		t.Errorf("the configuration's has %+v, %v", jt, err)
	}
	if _, err := r.Get(t.Context(), "unknown"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown type: %v", err)
	}
}
