package service

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/store"
)

func typed(t *testing.T, types ...config.JobType) *Service {
	t.Helper()
	cfg := config.Default(t.TempDir())
	cfg.JobTypes = types
	return &Service{Types: jobtype.New(cfg)}
}

// A type that needs no packages is built as soon as somebody asks; one that does
// cannot be.
func TestBuildJobType(t *testing.T) {
	s := typed(t)
	b, err := s.BuildJobType(t.Context(), "default", "v1")
	if err != nil || !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(b.Digest) || b.ID == "" || b.Tag != "v1" {
		t.Fatalf("%+v, %v", b, err)
	}
	log, err := s.BuildLog(t.Context(), "default", b.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(log); err != nil || !strings.Contains(string(text), "needs no build") {
		t.Errorf("the log is %q, %v", text, err)
	}
	for _, of := range [][2]string{{"default", "other"}, {"data-processing", b.ID}, {"none", b.ID}} {
		if _, err := s.BuildLog(t.Context(), of[0], of[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the log of %v: %v", of, err)
		}
	}
	if _, err := s.BuildJobType(t.Context(), "data-processing", ""); job.KindOf(err) != job.KindUnsupported || !strings.Contains(err.Error(), "installs none") {
		t.Errorf("packages: %v", err)
	}
	if _, err := s.BuildJobType(t.Context(), "none", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no type: %v", err)
	}
}

// A version changes with what an environment is made of, and with nothing else.
func TestVersionOfJobType(t *testing.T) {
	of := func(change func(*config.JobType)) string {
		t.Helper()
		typ := config.JobType{Name: "mine", PythonVersion: "3.11", Timeout: 30}
		change(&typ)
		b, err := typed(t, typ).BuildJobType(t.Context(), "mine", "")
		if err != nil {
			t.Fatal(err)
		}
		return b.Digest
	}
	plain := of(func(*config.JobType) {})
	for name, change := range map[string]func(*config.JobType){
		"python":      func(t *config.JobType) { t.PythonVersion = "3.12" },
		"environment": func(t *config.JobType) { t.Environment = map[string]string{"A": "b"} },
		"shared code": func(t *config.JobType) { t.SharedCode = []string{"lib"} },
		"sessions":    func(t *config.JobType) { t.SessionEnabled = true },
		"gpu":         func(t *config.JobType) { t.GPU = config.GPU{Enabled: true, Vendor: "nvidia"} },
	} {
		if of(change) == plain {
			t.Errorf("%s changes nothing", name)
		}
	}
	if of(func(t *config.JobType) { t.Timeout, t.MemoryLimit, t.SharedCode = 60, 1<<30, []string{} }) != plain {
		t.Error("limits change the version")
	}
}

// What this version cannot do is not said to work later.
func TestJobTypesDoNotChange(t *testing.T) {
	s := typed(t)
	_, created := s.CreateJobType(t.Context(), config.JobType{})
	_, replaced := s.ReplaceJobType(t.Context(), config.JobType{})
	for _, err := range []error{created, replaced, s.DeleteJobType(t.Context(), "default")} {
		if job.KindOf(err) != job.KindUnsupported {
			t.Errorf("%v", err)
		}
	}
}
