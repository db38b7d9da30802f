package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// ListJobTypes answers all job types.
func (s *Service) ListJobTypes(context.Context) ([]api.JobType, error) {
	var all []api.JobType
	for _, t := range s.Types.List() {
		all = append(all, jobType(t))
	}
	return all, nil
}

// jobType says that a type without packages of its own needs no build.
func jobType(t config.JobType) api.JobType {
	return api.JobType{JobType: t, Built: len(t.Requirements) == 0 && t.BaseImage == ""}
}

// JobType answers one.
func (s *Service) JobType(_ context.Context, name string) (api.JobType, error) {
	t, ok := s.Types.Get(name)
	if !ok {
		return api.JobType{}, store.ErrNotFound
	}
	return jobType(t), nil
}

// errNoTypes refuses what comes with environments.
func errNoTypes() error {
	return job.Errorf(job.KindUnsupported, "job types are those of the configuration file in this version").
		WithHint("add the type to job_types there and restart the server")
}

// CreateJobType is not possible yet.
func (s *Service) CreateJobType(context.Context, config.JobType) (api.JobType, error) {
	return api.JobType{}, errNoTypes()
}

// ReplaceJobType is not possible yet.
func (s *Service) ReplaceJobType(context.Context, config.JobType) (api.JobType, error) {
	return api.JobType{}, errNoTypes()
}

// DeleteJobType is not possible yet.
func (s *Service) DeleteJobType(context.Context, string) error { return errNoTypes() }

// BuildJobType answers for types that need no build, which is done at once.
// Others cannot be built yet.
func (s *Service) BuildJobType(ctx context.Context, name, tag string) (api.Build, error) {
	t, err := s.JobType(ctx, name)
	if err != nil {
		return api.Build{}, err
	}
	if !t.Built {
		return api.Build{}, job.Errorf(job.KindUnsupported, "job type %s needs packages or an image of its own, and this version installs none", name)
	}
	d, err := digest(t.JobType)
	return api.Build{ID: d, Digest: d, Tag: tag}, err
}

// JobTypeVersions are none: nothing is built.
func (s *Service) JobTypeVersions(ctx context.Context, name string) ([]api.Build, error) {
	_, err := s.JobType(ctx, name)
	return nil, err
}

// BuildLog says why there was nothing to build.
func (s *Service) BuildLog(ctx context.Context, name, id string) (io.ReadCloser, error) {
	t, err := s.JobType(ctx, name)
	if err != nil {
		return nil, err
	}
	d, err := digest(t.JobType)
	if err != nil {
		return nil, err
	}
	if !t.Built || d != id {
		return nil, store.ErrNotFound
	}
	log := fmt.Sprintf("Job type %s needs no build: it runs in the server's own Python.\n", name)
	return io.NopCloser(strings.NewReader(log)), nil
}

// digest names a version of a type: 12 hexadecimal digits of the SHA-256 of what
// its environment is made of, as JSON with sorted keys. Limits are no part of it.
func digest(t config.JobType) (string, error) {
	orEmpty := func(texts []string) []string { return append([]string{}, texts...) }
	environment := t.Environment
	if environment == nil {
		environment = map[string]string{}
	}
	data, err := json.Marshal(map[string]any{
		"name": t.Name, "requirements": orEmpty(t.Requirements), "python_version": t.PythonVersion, "base_image": orNull(t.BaseImage),
		"environment": environment, "shared_code": orEmpty(t.SharedCode), "session_enabled": t.SessionEnabled,
		"gpu_enabled": t.GPU.Enabled, "gpu_vendor": orNull(t.GPU.Vendor), "gpu_count": t.GPU.Count, "gpu_device_ids": orEmpty(t.GPU.DeviceIDs),
	})
	if err != nil {
		return "", fmt.Errorf("naming a version of job type %s: %w", t.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:12], nil
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
