// Package jobtype knows the job types of a server: those that every Tako has,
// those of the configuration, and what a request means by a name.
package jobtype

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
)

// Default is the type of a request that names none.
const Default = "default"

// Registry holds job types. It does not change.
type Registry struct {
	types      []config.JobType // by name
	base       job.Limits       // of what a type does not say
	production bool
}

// New returns the types of cfg, which take the place of built-in ones of the
// same name.
func New(cfg *config.Config) *Registry {
	r := &Registry{base: cfg.Limits(), production: cfg.ProductionMode}
	types := map[string]config.JobType{}
	for _, t := range slices.Concat(builtIn(cfg), cfg.JobTypes) {
		types[t.Name] = t
	}
	for _, t := range types {
		r.types = append(r.types, t)
	}
	slices.SortFunc(r.types, func(a, b config.JobType) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// builtIn are the types that upstream ships.
func builtIn(cfg *config.Config) []config.JobType {
	const mib = 1 << 20
	return []config.JobType{
		{Name: Default, PythonVersion: "3.11", MemoryLimit: 512 * mib, CPULimit: 1,
			Timeout: cfg.DefaultTimeout, StartupTimeout: cfg.DefaultStartupTimeout},
		{Name: "data-processing", Requirements: []string{"pandas", "numpy"}, PythonVersion: "3.11", MemoryLimit: 1024 * mib,
			CPULimit: 2, Timeout: 60, StartupTimeout: 120},
		{Name: "ml-inference", Requirements: []string{"numpy", "scikit-learn"}, PythonVersion: "3.11", MemoryLimit: 2048 * mib,
			CPULimit: 2, Timeout: 120, StartupTimeout: 120},
	}
}

// List returns all types by name.
func (r *Registry) List() []config.JobType { return slices.Clone(r.types) }

// Get returns the type of that name.
func (r *Registry) Get(name string) (config.JobType, bool) {
	i, ok := slices.BinarySearchFunc(r.types, name, func(t config.JobType, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return config.JobType{}, false
	}
	return r.types[i], true
}

// Resolve finds the type that ref means: a name, with or without a version.
// An unknown name means the default type, except in production mode; an
// unknown version is always an error.
func (r *Registry) Resolve(ref string) (job.Type, error) {
	name, version, versioned := strings.Cut(ref, "@")
	if name == "" {
		name = Default
	}
	t, ok := r.Get(name)
	switch {
	case !ok && r.production:
		return job.Type{}, job.Errorf(job.KindConfig, "Job type '%s' not found (production mode)", name)
	case !ok:
		if t, ok = r.Get(Default); !ok {
			return job.Type{}, job.Errorf(job.KindInternal, "there is no default job type")
		}
	case versioned && version != "latest":
		return job.Type{}, job.Errorf(job.KindConfig, "Job type '%s' has no version '%s'", name, version)
	}
	return r.resolved(t), nil
}

func (r *Registry) resolved(t config.JobType) job.Type {
	l := r.base
	l.Memory, l.CPUs = int64(t.MemoryLimit), t.CPULimit
	l.Execution = time.Duration(t.Timeout) * time.Second
	l.Startup = time.Duration(t.StartupTimeout) * time.Second
	return job.Type{
		Name: t.Name, Ref: fmt.Sprintf("%s@latest", t.Name), Limits: l, Env: t.Environment, Preload: t.Preload, Requirements: t.Requirements,
		NetworkEnabled: t.NetworkEnabled, GPU: t.GPU.Enabled,
	}
}
