package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

// builder builds what needs no packages.
type builder struct{ digest string }

func (b *builder) Build(_ context.Context, t config.JobType, log io.Writer) (job.EnvironmentRef, error) {
	if len(t.Requirements) > 0 {
		return job.EnvironmentRef{}, job.Errorf(job.KindUnsupported, "it needs packages")
	}
	fmt.Fprintln(log, "building")
	return job.EnvironmentRef{Name: "python", Version: "3.11", Digest: b.digest}, nil
}

func (b *builder) Lock(digest string) (build.Lock, error) {
	if digest == "bbbb" {
		return build.Lock{Python: "a==1\n"}, nil
	}
	return build.Lock{}, job.Errorf(job.KindNotFound, "there is no lock")
}

func typed(t *testing.T, types ...config.JobType) (*Service, *builder) {
	t.Helper()
	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tako.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close() })
	cfg := config.Default(t.TempDir())
	cfg.JobTypes = types
	b := &builder{"aaaa"}
	return &Service{Types: jobtype.New(jobtype.Options{Config: cfg, Stored: records}), Builder: b}, b
}

// Each build of something else is a version with a number; the same again is
// the same one.
func TestBuildJobType(t *testing.T) {
	s, env := typed(t)
	one, err := s.BuildJobType(t.Context(), "default", "", io.Discard)
	if err != nil || !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(one.Digest) || one.ID != one.Digest || one.Tag != "v1" {
		t.Fatalf("%+v, %v", one, err)
	}
	if again, err := s.BuildJobType(t.Context(), "default", "", io.Discard); err != nil || again.Digest != one.Digest || again.Tag != "v1" {
		t.Errorf("again: %+v, %v", again, err)
	}
	env.digest = "bbbb"
	two, err := s.BuildJobType(t.Context(), "default", "stable", io.Discard)
	if err != nil || two.Digest == one.Digest || two.Tag != "stable" {
		t.Errorf("in another environment: %+v, %v", two, err)
	}
	log, err := s.BuildLog(t.Context(), "default", two.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(log); err != nil || !strings.Contains(string(text), "building\nJob type default is built: environment python 3.11, bbbb.\n") {
		t.Errorf("the log is %q, %v", text, err)
	}
	if lock, err := s.BuildLock(t.Context(), "default", two.ID); err != nil || lock.Python != "a==1\n" || lock.NPM != nil {
		t.Errorf("the lock is %+v, %v", lock, err)
	}
	if _, err := s.BuildLock(t.Context(), "default", one.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the lock of a version without packages: %v", err)
	}
	list, err := s.JobTypeVersions(t.Context(), "default")
	if err != nil || len(list) != 2 || list[0].Digest != two.Digest || list[1].Digest != one.Digest {
		t.Errorf("%+v, %v", list, err)
	}
	for _, of := range [][2]string{{"default", "other"}, {"data-processing", one.ID}, {"none", one.ID}} {
		if _, err := s.BuildLog(t.Context(), of[0], of[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the log of %v: %v", of, err)
		}
		if _, err := s.BuildLock(t.Context(), of[0], of[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the lock of %v: %v", of, err)
		}
	}
	if _, err := s.BuildJobType(t.Context(), "data-processing", "", io.Discard); job.KindOf(err) != job.KindUnsupported {
		t.Errorf("packages: %v", err)
	}
	if _, err := s.BuildJobType(t.Context(), "none", "", io.Discard); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no type: %v", err)
	}
}

// A version changes with what an environment is made of, and with nothing else.
func TestVersionOfJobType(t *testing.T) {
	of := func(change func(*config.JobType)) string {
		t.Helper()
		typ := config.JobType{Name: "mine", PythonVersion: "3.11", Timeout: 30, MemoryLimit: 512 << 20, CPULimit: 1, StartupTimeout: 120}
		change(&typ)
		s, _ := typed(t, typ)
		b, err := s.BuildJobType(t.Context(), "mine", "", io.Discard)
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
		"preload":     func(t *config.JobType) { t.Preload = []string{"os"} },
	} {
		if of(change) == plain {
			t.Errorf("%s changes nothing", name)
		}
	}
	if of(func(t *config.JobType) {
		t.Timeout, t.MemoryLimit, t.SharedCode, t.NetworkEnabled = 60, 1<<30, []string{}, true
	}) != plain {
		t.Error("limits or the network change the version")
	}
}

// What is made over the API is there at once, and what is not of the API cannot
// be changed by it.
func TestJobTypesChange(t *testing.T) {
	s, _ := typed(t, config.JobType{Name: "fixed", PythonVersion: "3.11", MemoryLimit: 64 << 20, CPULimit: 1, Timeout: 1, StartupTimeout: 10})
	mine := config.JobType{Name: "mine", PythonVersion: "3.11", MemoryLimit: 64 << 20, CPULimit: 1, Timeout: 5, StartupTimeout: 10}
	if made, err := s.CreateJobType(t.Context(), mine); err != nil || !made.Built || made.Timeout != 5 {
		t.Errorf("%+v, %v", made, err)
	}
	for _, name := range []string{"mine", "fixed", "default"} {
		other := mine
		other.Name = name
		if _, err := s.CreateJobType(t.Context(), other); !errors.Is(err, api.ErrExists) {
			t.Errorf("a second %s: %v", name, err)
		}
	}
	mine.Timeout = 6
	if _, err := s.ReplaceJobType(t.Context(), mine); err != nil {
		t.Error(err)
	}
	if got, err := s.JobType(t.Context(), "mine"); err != nil || got.Timeout != 6 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.DeleteJobType(t.Context(), "mine"); err != nil {
		t.Error(err)
	}
	if _, err := s.JobType(t.Context(), "mine"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	for name, err := range map[string]error{
		"fixed": s.DeleteJobType(t.Context(), "fixed"), "default": s.DeleteJobType(t.Context(), "default"),
		"the fixed one":          errOf(s.ReplaceJobType(t.Context(), config.JobType{Name: "fixed"})),
		"packages that are none": errOf(s.ReplaceJobType(t.Context(), config.JobType{Name: "bad", Requirements: []string{"--option"}})),
		"a policy that is none":  errOf(s.ReplaceJobType(t.Context(), config.JobType{Name: "bad", Network: job.Network{Mode: job.NetworkAllow, Allow: []string{"0.0.0.0/0"}}})),
		"a bad one":              errOf(s.ReplaceJobType(t.Context(), config.JobType{Name: "bad", MemoryLimit: 1})),
	} {
		if job.KindOf(err) != job.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.DeleteJobType(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

func errOf[T any](_ T, err error) error { return err }
