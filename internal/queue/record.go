package queue

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
)

// Origin is who asks for a job and how it came.
type Origin struct {
	Principal      job.Principal
	CorrelationID  string
	ClientIP       string
	IdempotencyKey string
	ParentID       string
	Relationship   job.Relationship
}

// newRecord makes the record of a request that was accepted. The type's name
// takes the place of one that is unknown, as far as that is allowed. A type that
// there is not is no reason to refuse: that is how the job will end.
func (j *Jobs) newRecord(ctx context.Context, req job.Request, o Origin) (job.Record, error) {
	t, err := j.typeOf(ctx, &req)
	if err == nil {
		req.Type = &t
	}
	if job.KindOf(err) == job.KindConfig {
		name, _, _ := strings.Cut(req.JobType, "@")
		t, err = job.Type{Name: name, Ref: req.JobType, Limits: job.DefaultLimits()}, nil
	}
	if err != nil {
		return job.Record{}, err
	}
	req.Language = cmp.Or(req.Language, t.Language, "python")
	if err := j.checkTimeout(req, t); err != nil {
		return job.Record{}, err
	}
	if err := j.checkLimits(req, t); err != nil {
		return job.Record{}, err
	}
	if req.Type != nil && req.Network != nil {
		if err := egress.Narrow(t.Network, *req.Network); err != nil {
			return job.Record{}, err
		}
	}
	if len(req.Input) == 0 {
		req.Input = json.RawMessage("{}")
	}
	input, err := canonical(req.Input)
	if err != nil {
		return job.Record{}, job.Errorf(job.KindInvalid, "input_data: %w", err)
	}
	r := job.Record{
		ID: newUUID(), Owner: o.Principal.Owner, ParentID: o.ParentID, Relationship: o.Relationship,
		CorrelationID: o.CorrelationID, ClientIP: o.ClientIP, IdempotencyKey: o.IdempotencyKey, Request: req,
		CodeHash: hash([]byte(req.Code)), InputHash: hash(input), JobType: t.Name, JobRef: t.Ref,
		CreatedAt: j.now(), MaxAttempts: j.opts.MaxAttempts,
	}
	if req.Retry == job.RetryNever {
		r.MaxAttempts = 1
	}
	r.Fingerprint, err = fingerprint(req, input)
	return r, err
}

// typeOf is the type that a request was accepted with, or would be now.
func (j *Jobs) typeOf(ctx context.Context, req *job.Request) (job.Type, error) {
	if req.Type != nil {
		return *req.Type, nil
	}
	return j.opts.Types.Resolve(ctx, req.JobType)
}

// checkTimeout holds what was asked for, and what the type has, to the
// configured maximum, in the contract's words. How long a type's start may take
// is the operator's word, as the maximum is.
func (j *Jobs) checkTimeout(req job.Request, t job.Type) error {
	if req.Timeout > j.opts.MaxTimeout {
		return job.Errorf(job.KindInvalid, "timeout must be less than or equal to the configured max_timeout (%d seconds)", j.opts.MaxTimeout)
	}
	if req.Timeout == 0 && int(t.Limits.Execution.Seconds()) > j.opts.MaxTimeout {
		return job.Errorf(job.KindInvalid, "effective timeout must be less than or equal to the configured max_timeout (%d seconds)", j.opts.MaxTimeout)
	}
	if most := j.opts.MaxStartupTimeout; req.StartupTimeout > most {
		return job.Errorf(job.KindInvalid, "startup_timeout must be less than or equal to the configured max_startup_timeout (%d seconds)", most)
	}
	return nil
}

// checkLimits holds what a request asks for to its type's limits, or to what the
// configuration lets a request raise them to.
func (j *Jobs) checkLimits(req job.Request, t job.Type) error {
	ask, most := req.Limits, j.opts.Most
	if err := atMost("memory", "max_memory", ask.Memory, t.Limits.Memory, most.Memory); err != nil {
		return err
	}
	if err := atMost("cpus", "max_cpus", ask.CPUs, t.Limits.CPUs, most.CPUs); err != nil {
		return err
	}
	if err := atMost("pids", "max_pids", ask.PIDs, t.Limits.PIDs, most.PIDs); err != nil {
		return err
	}
	if err := atMost("disk", "max_disk", ask.Disk, t.Limits.Disk, most.Disk); err != nil {
		return err
	}
	if err := atMost("stdout_bytes", "max_stdout_bytes", ask.Stdout, t.Limits.Stdout, most.Stdout); err != nil {
		return err
	}
	if err := atMost("stderr_bytes", "max_stderr_bytes", ask.Stderr, t.Limits.Stderr, most.Stderr); err != nil {
		return err
	}
	if err := atMost("artifact_bytes", "max_artifact_bytes", ask.Artifact, t.Limits.Artifact, most.Artifact); err != nil {
		return err
	}
	return j.opts.Slots.Fit(memoryOf(&req, t))
}

func atMost[T int | int64 | float64](name, key string, ask *T, has T, most *T) error {
	if most != nil {
		has = max(has, *most)
	}
	if ask != nil && *ask > has {
		return job.Errorf(job.KindInvalid, "limits.%s must be less than or equal to %v (the job type's, or the configured %s)", name, has, key)
	}
	return nil
}

// fingerprint is of everything that was asked for: the same key with anything
// else is another request. The input counts by its canonical form.
func fingerprint(req job.Request, canonicalInput []byte) (string, error) {
	req.Input, req.Type, req.Environment = canonicalInput, nil, ""
	if req.JobType == "" {
		req.JobType = "default"
	}
	data, err := json.Marshal(req)
	if err != nil {
		return "", fmt.Errorf("taking a request's fingerprint: %w", err)
	}
	return hash(data), nil
}

// canonical is JSON with sorted keys and no white space; numbers stay as they
// were written.
func canonical(raw json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// newUUID is a random one (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // it does not fail (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
