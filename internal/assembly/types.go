package assembly

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
)

// types are the job types of a server.
func (s *served) types(cfg *config.Config, stored jobtype.Stored) (*jobtype.Registry, error) {
	file, skipped, err := jobtype.ReadFile(filepath.Join(cfg.DataDir, "job_types.json"))
	if err != nil {
		return nil, err
	}
	for _, why := range skipped {
		s.log.Warn(why)
	}
	return jobtype.New(jobtype.Options{Config: cfg, File: file, Stored: stored}), nil
}

// JobTypes are those of the files of this machine: of the configuration, of
// job_types.json, and the ones that every Tako has. Entries of job_types.json
// that are wrong are skipped.
func JobTypes(cfg *config.Config) (types *jobtype.Registry, skipped []string, err error) {
	file, skipped, err := jobtype.ReadFile(filepath.Join(cfg.DataDir, "job_types.json"))
	return jobtype.New(jobtype.Options{Config: cfg, File: file}), skipped, err
}

// Wanted is what a job is to run in.
type Wanted = attempt.Wanted

// Build makes what a job type runs in, anew: this machine's Python, for those
// that need no more.
func (l *Local) Build(ctx context.Context, t config.JobType, log io.Writer) (job.EnvironmentRef, error) {
	env, err := l.baseOf(ctx, t.ImageRef(), true)
	if err == nil && t.ImageRef() != "" { // this machine's stays anyway
		err = l.images.host.Pin(ctx, env.Digest) // anew: its version is yet to come
	}
	switch {
	case err != nil:
		return job.EnvironmentRef{}, err
	case len(t.Requirements) > 0:
		env, err = l.builder.Python(ctx, build.Request{Base: env, Requirements: t.Requirements, Anew: true, Log: log})
		if err != nil {
			return job.EnvironmentRef{}, err
		}
	case t.ImageRef() == "":
		fmt.Fprintf(log, "It needs no packages and no image: it runs in this machine's Python %s.\n", env.Version)
	}
	return job.EnvironmentRef{Name: env.Name, Version: env.Version, Digest: env.Digest}, nil
}

// Lock answers what exactly was installed in an environment with packages.
func (l *Local) Lock(digest string) (build.Lock, error) { return l.builder.Lock(digest) }

// warm has the pool, if there is one, told about: to the API, to metrics, and
// what the first jobs will probably be.
func (s *served) warm(ctx context.Context, local *Local, types *jobtype.Registry) error {
	pool := local.Runner.Supplier.Pool
	if pool == nil {
		return nil
	}
	s.Warm = func(ctx context.Context) api.Sandboxes {
		st := pool.Stats(ctx)
		return api.Sandboxes{
			Ready: st.Ready, Making: st.Making, Wanted: st.Want, Max: st.Max, Shapes: st.Shapes, Hits: st.Hits, Misses: st.Misses,
			Made: st.Made, Failed: st.Failed, Refill: st.Refill, Memory: st.Memory,
		}
	}
	list, err := types.List(ctx)
	if err != nil {
		return err
	}
	for _, known := range list {
		first := known.Name == jobtype.Default
		plain := len(known.Requirements) == 0 && known.ImageRef() == "" && !known.Policy().Open()
		if !plain || !first && len(known.Preload) == 0 {
			continue
		}
		t, err := types.Resolve(ctx, known.Name)
		n := 1
		if first {
			n = 2
		}
		if err == nil {
			err = local.Warm(attempt.Plain(t), n)
		}
		if err != nil {
			s.log.Warn("no sandbox waits for the first job", "job_type", known.Name, "error", err)
		}
	}
	return nil
}
