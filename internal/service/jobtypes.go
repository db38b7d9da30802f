package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/store"
)

// Builder makes what a job type runs in.
type Builder interface {
	// Build makes the environment of a job type and has it stay; it writes what
	// it does to log. A type that it cannot build is job.KindUnsupported.
	Build(ctx context.Context, t config.JobType, log io.Writer) (job.EnvironmentRef, error)
	// Lock answers what exactly was installed in an environment; job.KindNotFound
	// for one without packages, and for one of another server.
	Lock(digest string) (build.Lock, error)
}

// ListJobTypes answers all job types.
func (s *Service) ListJobTypes(ctx context.Context) ([]api.JobType, error) {
	list, err := s.Types.List(ctx)
	if err != nil {
		return nil, err
	}
	var all []api.JobType
	for _, t := range list {
		shown, err := s.jobType(ctx, t)
		if err != nil {
			return nil, err
		}
		all = append(all, shown)
	}
	return all, nil
}

// jobType says whether a type is built as it is now; one without packages or an
// image of its own needs no build.
func (s *Service) jobType(ctx context.Context, t config.JobType) (api.JobType, error) {
	if len(t.Requirements) == 0 && t.ImageRef() == "" {
		return api.JobType{JobType: t, Built: true}, nil
	}
	built, err := s.Types.Built(ctx, t)
	return api.JobType{JobType: t, Built: built}, err
}

// JobType answers one.
func (s *Service) JobType(ctx context.Context, name string) (api.JobType, error) {
	t, err := s.Types.Get(ctx, name)
	if err != nil {
		return api.JobType{}, err
	}
	return s.jobType(ctx, t)
}

// CreateJobType stores a new one.
func (s *Service) CreateJobType(ctx context.Context, t config.JobType) (api.JobType, error) {
	err := s.putType(ctx, t, true)
	if errors.Is(err, store.ErrExists) {
		err = api.ErrExists
	}
	if err != nil {
		return api.JobType{}, err
	}
	return s.jobType(ctx, t)
}

// ReplaceJobType stores one, whether it is there or not.
func (s *Service) ReplaceJobType(ctx context.Context, t config.JobType) (api.JobType, error) {
	if err := s.putType(ctx, t, false); err != nil {
		return api.JobType{}, err
	}
	return s.jobType(ctx, t)
}

// putType stores a type whose jobs could run: a policy or a list of packages that
// cannot be is found now, not by each job.
func (s *Service) putType(ctx context.Context, t config.JobType, create bool) error {
	if err := s.check(t); err != nil {
		return err
	}
	return s.Types.Put(ctx, t, create)
}

func (s *Service) check(t config.JobType) error {
	o := s.Egress
	o.Secrets = egress.Unvalued(t.Secrets)
	if _, err := egress.Compile(t.Policy(), o); err != nil {
		return err
	}
	return build.CheckRequirements(t.Requirements)
}

// DeleteJobType removes one; jobs that were accepted with it keep it.
func (s *Service) DeleteJobType(ctx context.Context, name string) error {
	return s.Types.Delete(ctx, name)
}

// BuildJobType makes a version of a type: what it is now, in the environment
// that it comes to.
func (s *Service) BuildJobType(ctx context.Context, name, tag string, follow io.Writer) (api.Build, error) {
	t, err := s.Types.Get(ctx, name)
	if err != nil {
		return api.Build{}, err
	}
	if err := s.check(t); err != nil {
		return api.Build{}, err
	}
	var log strings.Builder
	both := told{&log, follow}
	env, err := s.Builder.Build(ctx, t, both)
	if err != nil {
		return api.Build{}, err
	}
	fmt.Fprintf(both, "Job type %s is built: environment %s %s, %s.\n", name, env.Name, env.Version, env.Digest)
	v, err := s.Types.AddVersion(ctx, jobtype.Build{Type: t, Environment: env, Tag: tag, By: "manual", Log: log.String()})
	return version(v), err
}

// told keeps a log and tells somebody of it.
type told struct {
	kept   *strings.Builder
	follow io.Writer
}

func (t told) Write(p []byte) (int, error) {
	t.kept.Write(p)
	_, _ = t.follow.Write(p) // who follows may leave
	return len(p), nil
}

// version shows the twelve digits that name a version.
func version(v store.Version) api.Build {
	digest := v.Digest[:min(12, len(v.Digest))]
	tag := v.Tag
	if tag == "" && v.Number > 0 {
		tag = fmt.Sprintf("v%d", v.Number)
	}
	return api.Build{ID: digest, Digest: digest, Tag: tag, At: v.BuiltAt, By: v.BuiltBy}
}

// JobTypeVersions answers what was built, newest first.
func (s *Service) JobTypeVersions(ctx context.Context, name string) ([]api.Build, error) {
	list, err := s.Types.Versions(ctx, name)
	var all []api.Build
	for _, v := range list {
		all = append(all, version(v))
	}
	return all, err
}

// BuildLock answers what a build installed.
func (s *Service) BuildLock(ctx context.Context, name, id string) (api.Lock, error) {
	env, err := s.Types.BuiltIn(ctx, name, id)
	if err != nil {
		return api.Lock{}, err
	}
	l, err := s.Builder.Lock(env.Digest)
	if job.KindOf(err) == job.KindNotFound {
		err = store.ErrNotFound
	}
	return api.Lock{Python: l.Python, NPM: l.NPM}, err
}

// BuildLog answers what a build said.
func (s *Service) BuildLog(ctx context.Context, name, id string) (io.ReadCloser, error) {
	log, err := s.Types.Log(ctx, name, id)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(log)), nil
}
