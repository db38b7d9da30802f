package jobtype

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// shortDigest is how many digits of a digest name a version.
const shortDigest = 12

// built is what a version keeps: the type, and what it was built in.
type built struct {
	Type        json.RawMessage    `json:"type"`
	Environment job.EnvironmentRef `json:"environment"`
}

// Build is a version of a type, as it is to be stored.
type Build struct {
	Type        config.JobType
	Environment job.EnvironmentRef
	Tag         string // a name for it; empty for none
	By          string // who had it built
	Log         string
}

// AddVersion stores what was built. What is equal to an earlier version is that
// version.
func (r *Registry) AddVersion(ctx context.Context, b Build) (store.Version, error) {
	if r.stored == nil {
		return store.Version{}, job.Errorf(job.KindUnavailable, "versions of job types cannot be stored without a database")
	}
	definition, err := config.EncodeJobType(b.Type)
	if err != nil {
		return store.Version{}, err
	}
	content, err := json.Marshal(built{definition, b.Environment})
	if err != nil {
		return store.Version{}, fmt.Errorf("encoding a version of job type %s: %w", b.Type.Name, err)
	}
	digest, err := digestOf(b.Type, b.Environment)
	if err != nil {
		return store.Version{}, err
	}
	return r.stored.AddVersion(ctx, store.Version{
		Name: b.Type.Name, Digest: digest, Tag: b.Tag, Definition: content, BuiltAt: r.now(), BuiltBy: b.By, Log: b.Log,
	})
}

// Built reports whether the type as it is was built last.
func (r *Registry) Built(ctx context.Context, t config.JobType) (bool, error) {
	if r.stored == nil {
		return false, nil
	}
	list, err := r.stored.Versions(ctx, t.Name)
	if err != nil || len(list) == 0 {
		return false, err
	}
	last := slices.MaxFunc(list, func(a, b store.Version) int { return a.BuiltAt.Compare(b.BuiltAt) })
	var b built
	if err := json.Unmarshal(last.Definition, &b); err != nil {
		return false, fmt.Errorf("reading a version of job type %s: %w", t.Name, err)
	}
	digest, err := digestOf(t, b.Environment)
	return digest == last.Digest, err
}

// Versions answers the builds of a type, newest first, without logs;
// store.ErrNotFound for a type that there is not.
func (r *Registry) Versions(ctx context.Context, name string) ([]store.Version, error) {
	if _, err := r.Get(ctx, name); err != nil || r.stored == nil {
		return nil, err
	}
	return r.stored.Versions(ctx, name)
}

// Log answers what the build of a version said, by digest, tag or number;
// store.ErrNotFound.
func (r *Registry) Log(ctx context.Context, name, ref string) (string, error) {
	if _, err := r.Get(ctx, name); err != nil {
		return "", err
	}
	if r.stored == nil {
		return "", store.ErrNotFound
	}
	v, err := r.stored.Version(ctx, name, ref)
	if err != nil {
		return "", err
	}
	return r.stored.VersionLog(ctx, name, v.Digest)
}

// BuiltIn answers what a version was built in, by digest, tag or number;
// store.ErrNotFound.
func (r *Registry) BuiltIn(ctx context.Context, name, ref string) (job.EnvironmentRef, error) {
	if _, err := r.Get(ctx, name); err != nil {
		return job.EnvironmentRef{}, err
	}
	if r.stored == nil {
		return job.EnvironmentRef{}, store.ErrNotFound
	}
	v, err := r.stored.Version(ctx, name, ref)
	if err != nil {
		return job.EnvironmentRef{}, err
	}
	var b built
	if err := json.Unmarshal(v.Definition, &b); err != nil {
		return job.EnvironmentRef{}, fmt.Errorf("reading version %s of job type %s: %w", ref, name, err)
	}
	return b.Environment, nil
}

// version is a type in what a version of it was built in. What jobs may use and
// reach is the type's as it is now: a version must not bring back what was taken
// away since.
func (r *Registry) version(ctx context.Context, now config.JobType, ref string) (job.Type, error) {
	name := now.Name
	unknown := job.Errorf(job.KindConfig, "Job type '%s' has no version '%s'", name, ref)
	digest, byDigest := strings.CutPrefix(ref, "sha256:")
	if byDigest && (len(digest) < shortDigest || strings.Trim(digest, "0123456789abcdef") != "") || r.stored == nil {
		return job.Type{}, unknown
	}
	v, err := r.stored.Version(ctx, name, digest)
	switch {
	case errors.Is(err, store.ErrNotFound), byDigest && err == nil && !strings.HasPrefix(v.Digest, digest):
		return job.Type{}, unknown
	case job.KindOf(err) == job.KindInvalid:
		return job.Type{}, job.Errorf(job.KindConfig, "%w", err)
	case err != nil:
		return job.Type{}, err
	}
	b := built{}
	if err := json.Unmarshal(v.Definition, &b); err != nil {
		return job.Type{}, fmt.Errorf("reading version %s of job type %s: %w", ref, name, err)
	}
	t, err := config.DecodeJobType(b.Type)
	if err != nil {
		return job.Type{}, fmt.Errorf("reading version %s of job type %s: %w", ref, name, err)
	}
	resolved, current := r.resolved(t), r.resolved(now)
	resolved.Limits, resolved.Network, resolved.Secrets, resolved.GPU = current.Limits, current.Network, current.Secrets, current.GPU
	resolved.Ref, resolved.Environment = name+"@sha256:"+v.Digest[:shortDigest], b.Environment.Digest
	return resolved, nil
}

// digestOf names a version of a type: the SHA-256 of what its environment is
// made of, as JSON with sorted keys, and of the environment that this came to.
// Limits, network and secrets are no part of it.
func digestOf(t config.JobType, env job.EnvironmentRef) (string, error) {
	orEmpty := func(texts []string) []string { return append([]string{}, texts...) }
	environment := t.Environment
	if environment == nil {
		environment = map[string]string{}
	}
	data, err := json.Marshal(map[string]any{
		"name": t.Name, "requirements": orEmpty(t.Requirements), "python_version": t.PythonVersion, "base_image": orNull(t.ImageRef()), "language": t.Language,
		"environment": environment, "shared_code": orEmpty(t.SharedCode), "session_enabled": t.SessionEnabled,
		"gpu_enabled": t.GPU.Enabled, "gpu_vendor": orNull(t.GPU.Vendor), "gpu_count": t.GPU.Count, "gpu_device_ids": orEmpty(t.GPU.DeviceIDs),
		"preload": orEmpty(t.Preload), "built_in": env.Digest,
	})
	if err != nil {
		return "", fmt.Errorf("naming a version of job type %s: %w", t.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
