// Package jobtype knows the job types of a server: those that every Tako has,
// those of its files, those that were made over the API, and what a request
// means by a name and a version.
package jobtype

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Default is the type of a request that names none.
const Default = "default"

// Origin is where a job type comes from. A later one takes the place of an
// earlier one of the same name.
type Origin int

const (
	BuiltIn    Origin = iota
	File              // job_types.json in the data directory
	Database          // made over the API
	Configured        // the configuration file
)

// String says it in a sentence.
func (o Origin) String() string {
	return [...]string{"built in", "in job_types.json", "made over the API", "in the configuration file"}[o]
}

// Stored keeps what is made over the API, and versions of all types.
type Stored interface {
	PutJobType(ctx context.Context, t store.JobType, create bool) error
	DeleteJobType(ctx context.Context, name string) error
	ListJobTypes(ctx context.Context) ([]store.JobType, error)
	AddVersion(ctx context.Context, v store.Version) (store.Version, error)
	Versions(ctx context.Context, name string) ([]store.Version, error)
	Version(ctx context.Context, name, ref string) (store.Version, error)
	VersionLog(ctx context.Context, name, digest string) (string, error)
}

// Options make a Registry.
type Options struct {
	Config *config.Config
	// File are the types of job_types.json; see ReadFile.
	File []config.JobType
	// Stored, if not nil, keeps types and versions.
	Stored Stored
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Registry holds job types.
type Registry struct {
	fixed      map[string]entry // all but those of the database
	base       job.Limits       // of what a type does not say
	production bool
	stored     Stored
	now        func() time.Time

	mu     sync.Mutex
	known  map[string]entry // those of the database, as they were at
	loaded time.Time
}

type entry struct {
	config.JobType
	origin Origin
	broken error // why it cannot be used
}

// lag is how long another server's change may go unnoticed.
const lag = time.Second

// New returns the types of o.
func New(o Options) *Registry {
	r := &Registry{base: o.Config.Limits(), production: o.Config.ProductionMode, stored: o.Stored, now: o.Now, fixed: map[string]entry{}}
	if r.now == nil {
		r.now = time.Now
	}
	for origin, list := range map[Origin][]config.JobType{BuiltIn: builtIn(o.Config), File: o.File, Configured: o.Config.JobTypes} {
		for _, t := range list {
			if had, ok := r.fixed[t.Name]; !ok || had.origin < origin {
				r.fixed[t.Name] = entry{t, origin, nil}
			}
		}
	}
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

// load answers the types of the database, as they were at most lag ago.
func (r *Registry) load(ctx context.Context) (map[string]entry, error) {
	if r.stored == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded.IsZero() && r.now().Sub(r.loaded) < lag {
		return r.known, nil
	}
	list, err := r.stored.ListJobTypes(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]entry{}
	for _, s := range list {
		t, err := config.DecodeJobType(s.Definition)
		if err != nil { // a newer tako's: others go on
			t, err = config.JobType{Name: s.Name}, job.Errorf(job.KindConfig, "job type '%s' cannot be read as it is stored: %w", s.Name, err)
		}
		known[s.Name] = entry{t, Database, err}
	}
	r.known, r.loaded = known, r.now()
	return known, nil
}

// forget has the next load look.
func (r *Registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = time.Time{}
}

func (r *Registry) find(ctx context.Context, name string) (e entry, ok bool, err error) {
	e, ok = r.fixed[name]
	if ok && e.origin > Database {
		return e, true, nil
	}
	known, err := r.load(ctx)
	if err != nil {
		return entry{}, false, err
	}
	if s, there := known[name]; there {
		return s, true, s.broken
	}
	return e, ok, nil
}

// List returns all types by name.
func (r *Registry) List(ctx context.Context) ([]config.JobType, error) {
	known, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]config.JobType{}
	for name, e := range r.fixed {
		all[name] = e.JobType
	}
	for name, e := range known {
		if r.fixed[name].origin < Database && e.broken == nil {
			all[name] = e.JobType
		}
	}
	var list []config.JobType
	for _, t := range all {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b config.JobType) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Get returns the type of that name; store.ErrNotFound.
func (r *Registry) Get(ctx context.Context, name string) (config.JobType, error) {
	e, ok, err := r.find(ctx, name)
	if err == nil && !ok {
		err = store.ErrNotFound
	}
	return e.JobType, err
}

// Resolve finds the type that ref means: a name, with or without a version. An
// unknown name means the default type, except in production mode; an unknown
// version is always an error.
func (r *Registry) Resolve(ctx context.Context, ref string) (job.Type, error) {
	name, version, versioned := strings.Cut(ref, "@")
	if name == "" {
		name = Default
	}
	e, ok, err := r.find(ctx, name)
	switch {
	case err != nil:
		return job.Type{}, err
	case !ok && r.production:
		return job.Type{}, job.Errorf(job.KindConfig, "Job type '%s' not found (production mode)", name)
	case !ok:
		if e, ok, err = r.find(ctx, Default); !ok || err != nil {
			return job.Type{}, errors.Join(err, job.Errorf(job.KindInternal, "there is no default job type"))
		}
	case versioned && version != "latest":
		return r.version(ctx, e.JobType, version)
	}
	return r.resolved(e.JobType), nil
}

func (r *Registry) resolved(t config.JobType) job.Type {
	l := r.base
	l.Memory, l.CPUs = int64(t.MemoryLimit), t.CPULimit
	l.Execution = time.Duration(t.Timeout) * time.Second
	l.Startup = time.Duration(t.StartupTimeout) * time.Second
	own := t.Limits
	set(&l.PIDs, own.PIDs)
	set(&l.Stdout, own.Stdout)
	set(&l.Stderr, own.Stderr)
	set(&l.Artifact, own.Artifact)
	if own.Disk > 0 {
		l.Disk = int64(own.Disk)
	}
	return job.Type{
		Name: t.Name, Ref: fmt.Sprintf("%s@latest", t.Name), Limits: l, Env: t.Environment, Preload: t.Preload, Requirements: t.Requirements, Image: t.ImageRef(), Language: t.Language,
		Network: t.Policy(), Secrets: t.Secrets, GPU: t.GPU.Enabled,
	}
}

func set[T int | int64](to *T, value *int) {
	if value != nil {
		*to = T(*value)
	}
}
