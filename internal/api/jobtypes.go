package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func tagPattern() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`) }

// typeName is the job type of the path. What cannot be one is not there.
func (c *call) typeName() (string, error) {
	name := c.r.PathValue("name")
	if !jobTypePattern().MatchString(name) {
		return "", noJobType(name)
	}
	return name, nil
}

func noJobType(name string) error {
	return fail(http.StatusNotFound, "Job type '%s' not found", validText(name))
}

// orNoJobType says which type was not found.
func orNoJobType(name string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return noJobType(name)
	}
	return err
}

func newJobType(t JobType) wire.JobType {
	requirements := t.Requirements
	if requirements == nil {
		requirements = []string{}
	}
	return wire.JobType{
		Name: t.Name, Requirements: requirements, PythonVersion: t.PythonVersion, MemoryLimit: t.MemoryLimit.String(),
		CPULimit: t.CPULimit, Timeout: t.Timeout, StartupTimeout: t.StartupTimeout, NetworkEnabled: t.NetworkEnabled,
		SessionEnabled: t.SessionEnabled, GPUEnabled: t.GPU.Enabled, GPUVendor: wire.OrNil(t.GPU.Vendor), ImageExists: t.Built,
		Image: wire.OrNil(t.ImageRef()), Language: or(t.Language, "python"), Preload: append([]string{}, t.Preload...),
		Secrets: append([]job.SecretBinding{}, t.Secrets...),
		Network: wire.JobTypeNetwork{Mode: t.Policy().Mode, Allow: append([]string{}, t.Policy().Allow...)},
	}
}

func (c *call) listJobTypes() error {
	types, err := c.api.service.ListJobTypes(c.r.Context())
	if err != nil {
		return err
	}
	out := []wire.JobType{}
	for _, t := range types {
		out = append(out, newJobType(t))
	}
	return c.ok(out)
}

func (c *call) getJobType() error {
	name, err := c.typeName()
	if err != nil {
		return err
	}
	t, err := c.api.service.JobType(c.r.Context(), name)
	if err != nil {
		return orNoJobType(name, err)
	}
	return c.ok(newJobType(t))
}

// jobType is the type that the body asks for under the name of the path.
func (c *call) jobType() (t config.JobType, err error) {
	name := c.r.PathValue("name")
	if !jobTypePattern().MatchString(name) {
		return t, problems{schema.Invalid("the name of a job type has 1 to 64 letters, digits, - and _", asText([]byte(validText(name))), "path", "name")}
	}
	if v := c.in.Get("name"); v.Has() && v.Text() != name {
		return t, problems{schema.Invalid("the name is another one than that in the path", v.Raw(), "body", "name")}
	}
	t = bindJobType(name, c.in)
	if most := c.api.options.MaxTimeout; most > 0 && t.Timeout > most {
		return t, fail(http.StatusUnprocessableEntity, "%s", timeoutAbove(most))
	}
	return t, nil
}

func (c *call) createJobType() error {
	t, err := c.jobType()
	if err != nil {
		return err
	}
	made, err := c.api.service.CreateJobType(c.r.Context(), t)
	if errors.Is(err, ErrExists) {
		return fail(http.StatusConflict, "Job type '%s' exists", t.Name)
	}
	if err != nil {
		return err
	}
	return c.ok(newJobType(made))
}

func (c *call) replaceJobType() error {
	t, err := c.jobType()
	if err != nil {
		return err
	}
	made, err := c.api.service.ReplaceJobType(c.r.Context(), t)
	if err != nil {
		return err
	}
	return c.ok(newJobType(made))
}

func (c *call) deleteJobType() error {
	name, err := c.typeName()
	if err != nil {
		return err
	}
	if err := c.api.service.DeleteJobType(c.r.Context(), name); err != nil {
		return orNoJobType(name, err)
	}
	return c.ok(wire.JobTypeRemoved{Status: "removed", JobType: name})
}

func (c *call) buildJobType() error {
	name, err := c.typeName()
	if err != nil {
		return err
	}
	tag := c.query["version_tag"].Text()
	if c.query["follow"].Bool() {
		return c.followBuild(name, tag)
	}
	c.patient()
	b, err := c.api.service.BuildJobType(c.r.Context(), name, tag, io.Discard)
	if why := buildFailure(err); why != "" {
		return fail(http.StatusInternalServerError, "%s", why)
	}
	if err != nil {
		return orNoJobType(name, err)
	}
	return c.ok(newBuild(name, b))
}

// buildFailure is what a caller is told of a build that failed, or nothing where
// that is not the caller's business.
func buildFailure(err error) string {
	var known *job.Error
	if errors.As(err, &known) && known.Kind != job.KindNotFound && known.Kind != job.KindInternal {
		return "Build failed: " + known.Msg
	}
	return ""
}

func newBuild(name string, b Build) wire.Build {
	return wire.Build{
		Status: "built", JobType: name, Version: version(name, b), Digest: b.Digest,
		ImageRef: fmt.Sprintf("tako-vm-%s:latest", name), BuildID: b.ID,
	}
}

func version(name string, b Build) string { return name + "@sha256:" + b.Digest }

func (c *call) jobTypeVersions() error {
	name, err := c.typeName()
	if err != nil {
		return err
	}
	builds, err := c.api.service.JobTypeVersions(c.r.Context(), name)
	if err != nil {
		return orNoJobType(name, err)
	}
	out := []wire.JobTypeVersion{}
	for _, b := range builds {
		out = append(out, wire.JobTypeVersion{
			Version: version(name, b), Digest: b.Digest, VersionTag: wire.OrNil(b.Tag), BuiltAt: wire.NewTime(b.At), BuiltBy: b.By,
		})
	}
	return c.ok(out)
}

// build answers the names of a build that a path has.
func (c *call) build() (name, id string, err error) {
	if name, err = c.typeName(); err != nil {
		return "", "", err
	}
	id, err = c.id("build_id")
	return name, id, err
}

func (c *call) buildLock() error {
	name, id, err := c.build()
	if err != nil {
		return err
	}
	l, err := c.api.service.BuildLock(c.r.Context(), name, id)
	if err != nil {
		return err
	}
	return c.ok(wire.Lock{Python: wire.OrNil(l.Python), NPM: rawOr(l.NPM, "null")})
}

func (c *call) buildLog() error {
	name, id, err := c.build()
	if err != nil {
		return err
	}
	log, err := c.api.service.BuildLog(c.r.Context(), name, id)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was only read
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = io.Copy(c.slowAnswer(), log)
	return err
}
