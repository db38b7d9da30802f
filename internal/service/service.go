// Package service is what the API serves: jobs, files, keys, job types and the
// state of the server, for a principal. It implements api.Service over the
// queue, the store and the blobs.
package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/secret"
	"github.com/takovm/tako/internal/store"
)

// Service serves the API of one node.
type Service struct {
	Jobs  *queue.Jobs
	Store store.Store
	Blobs artifact.Store
	Types *jobtype.Registry
	// Builder makes the environments of job types.
	Builder Builder
	// Egress is what the policies of job types are held against.
	Egress egress.Options
	// Secrets are where values are that job types bind.
	Secrets *secret.Vault
	Slots   *queue.Slots
	Engine  engine.Info
	// Limits of what is reported.
	MaxWorkers, MaxQueue int
	// MaxUpload bounds one file, in bytes.
	MaxUpload int64
	// Warm, if set, answers which sandboxes wait.
	Warm func(ctx context.Context) api.Sandboxes
	// Room, if set, answers why the disk takes no new work.
	Room func() error
	// Forget, if set, is told of API keys that were deleted.
	Forget func(keyID string)
	Log    *slog.Logger

	ready atomic.Bool
	depth depth
}

var _ api.Service = (*Service)(nil)

// SetReady says whether the server takes requests.
func (s *Service) SetReady(ready bool) { s.ready.Store(ready) }

func origin(p job.Principal, c api.Caller) queue.Origin {
	return queue.Origin{Principal: p, CorrelationID: c.CorrelationID, ClientIP: c.ClientIP}
}

// Execute runs a job while the caller waits.
func (s *Service) Execute(ctx context.Context, p job.Principal, sub api.Submission) (job.Record, error) {
	req, o, err := s.inputs(p).request(ctx, sub)
	if err != nil {
		return job.Record{}, err
	}
	return s.Jobs.Execute(ctx, req, o)
}

// Submit accepts a job for later.
func (s *Service) Submit(ctx context.Context, p job.Principal, sub api.Submission) (job.Record, error) {
	req, o, err := s.inputs(p).request(ctx, sub)
	if err != nil {
		return job.Record{}, err
	}
	return s.Jobs.Submit(ctx, req, o)
}

// request is a submission with its files stored.
func (s *inputs) request(ctx context.Context, sub api.Submission) (job.Request, queue.Origin, error) {
	req := sub.Request
	if err := s.room(); err != nil {
		return req, queue.Origin{}, err
	}
	o := origin(s.caller, sub.Caller)
	o.IdempotencyKey = sub.IdempotencyKey
	for _, f := range sub.Files {
		file, err := s.file(ctx, f)
		if err != nil {
			return req, o, err
		}
		req.Files = append(req.Files, file)
	}
	return req, o, nil
}

// Get answers a record that p sees.
func (s *Service) Get(ctx context.Context, p job.Principal, id string) (job.Record, error) {
	return s.Jobs.Get(ctx, p, id)
}

// Position is a job's place in the queue.
func (s *Service) Position(ctx context.Context, p job.Principal, id string) (int, error) {
	if _, err := s.Jobs.Get(ctx, p, id); err != nil {
		return 0, err
	}
	return s.Store.Position(ctx, id)
}

// Wait answers a record when it has ended.
func (s *Service) Wait(ctx context.Context, p job.Principal, id string) (job.Record, error) {
	if _, err := s.Jobs.Get(ctx, p, id); err != nil {
		return job.Record{}, err
	}
	return s.Jobs.Wait(ctx, id)
}

// List passes on records that p sees.
func (s *Service) List(ctx context.Context, p job.Principal, f store.Filter, each func(*job.Record) error) (bool, error) {
	if !p.Can(job.ScopeAdmin) {
		f.Owner = &p.Owner
	}
	return s.Store.ListEach(ctx, f, each)
}

// Cancel ends a job.
func (s *Service) Cancel(ctx context.Context, p job.Principal, id string) (job.Record, error) {
	return s.Jobs.Cancel(ctx, p, id)
}

// Delete purges a job that has ended. Its blobs go with the next collection, if
// no other job has them.
func (s *Service) Delete(ctx context.Context, p job.Principal, id string) error {
	r, err := s.Jobs.Get(ctx, p, id)
	if err != nil {
		return err
	}
	if !r.Status.Terminal() {
		return api.ErrNotEnded
	}
	return s.Store.Delete(ctx, id)
}

// Rerun submits a job again.
func (s *Service) Rerun(ctx context.Context, p job.Principal, id string, d api.Derivation) (job.Record, error) {
	return s.derive(ctx, id, job.Rerun, d, origin(p, d.Caller))
}

// Fork submits other code under the circumstances of a job.
func (s *Service) Fork(ctx context.Context, p job.Principal, id string, d api.Derivation) (job.Record, error) {
	return s.derive(ctx, id, job.Fork, d, origin(p, d.Caller))
}

func (s *Service) derive(ctx context.Context, id string, how job.Relationship, d api.Derivation, o queue.Origin) (job.Record, error) {
	parent, err := s.Jobs.Get(ctx, o.Principal, id)
	if err != nil {
		return job.Record{}, err
	}
	if !parent.Status.Terminal() {
		return job.Record{}, api.ErrNotEnded
	}
	inputs := s.inputs(o.Principal)
	for _, f := range parent.Request.Files {
		if err := inputs.touch(ctx, f); errors.Is(err, artifact.ErrNotFound) {
			return job.Record{}, api.ErrNoReplay
		} else if err != nil {
			return job.Record{}, err
		}
	}
	if err := s.room(); err != nil {
		return job.Record{}, err
	}
	change := queue.Change{Code: d.Code}
	if d.JobType != "" {
		change.JobType = &d.JobType
	}
	if d.Timeout > 0 {
		change.Timeout = &d.Timeout
	}
	return s.Jobs.Again(ctx, id, how, change, o)
}
