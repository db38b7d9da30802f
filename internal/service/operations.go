package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/store"
)

// newID is 128 random bits in hex.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // it does not fail (crypto/rand)
	return hex.EncodeToString(b[:])
}

// SubmitBatch stores all jobs of a batch, or none.
func (s *Service) SubmitBatch(ctx context.Context, p job.Principal, b api.BatchSubmission) (store.Batch, error) {
	requests, inputs := make([]job.Request, len(b.Items)), s.inputs(p)
	for i, item := range b.Items {
		req, _, err := inputs.request(ctx, item)
		if err != nil {
			return store.Batch{}, &api.ItemError{Index: i, Err: err}
		}
		requests[i] = req
	}
	o := origin(p, b.Caller)
	o.IdempotencyKey = b.IdempotencyKey
	batch, index, err := s.Jobs.SubmitBatch(ctx, requests, queue.Group{Labels: b.Labels, WebhookURL: b.WebhookURL}, o)
	if err != nil && index >= 0 {
		err = &api.ItemError{Index: index, Err: err}
	}
	return batch, err
}

// Batch answers a batch that p sees.
func (s *Service) Batch(ctx context.Context, p job.Principal, id string) (store.Batch, error) {
	b, err := s.Store.Batch(ctx, id)
	if err == nil && !p.Sees(b.Owner) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Batch{}, err
	}
	return b, nil
}

// CancelBatch ends what is left of a batch.
func (s *Service) CancelBatch(ctx context.Context, p job.Principal, id string) (store.Batch, error) {
	if _, err := s.Batch(ctx, p, id); err != nil {
		return store.Batch{}, err
	}
	return s.Store.CancelBatch(ctx, id)
}

// CreateKey stores a key.
func (s *Service) CreateKey(ctx context.Context, k job.Key) error { return s.Store.CreateKey(ctx, k) }

// ListKeys answers all stored keys.
func (s *Service) ListKeys(ctx context.Context) ([]job.Key, error) { return s.Store.ListKeys(ctx) }

// DeleteKey removes a key; this server knows it no more from then on.
func (s *Service) DeleteKey(ctx context.Context, id string) error {
	err := s.Store.DeleteKey(ctx, id)
	if err == nil && s.Forget != nil {
		s.Forget(id)
	}
	return err
}

// Health is how the server is, by what is known. The engine is not asked: it
// works as long as attempts do.
func (s *Service) Health(context.Context) api.Health {
	waiting := s.depth.get(func(ctx context.Context) (int, error) {
		stats, err := s.Store.Stats(ctx)
		return stats.Queued, err
	})
	u, b := s.Slots.Usage(), s.Jobs.Breaker()
	return api.Health{
		Ready: s.ready.Load(),
		Engine: api.Engine{
			Name: s.Engine.Name, Version: s.Engine.Version, Platform: s.Engine.Platform, Isolation: "gvisor",
			Ready: b.State != queue.BreakerOpen,
		},
		Breaker: api.Breaker{State: string(b.State), Failures: b.Failures, Successes: b.Successes, LastFailure: b.LastFailure},
		Pool:    api.Pool{Pending: waiting, Running: u.Running, MaxWorkers: s.MaxWorkers, MaxQueueSize: s.MaxQueue},
	}
}

// Accepting answers why no work can be stored: the database is away, or the disk
// is nearly full.
func (s *Service) Accepting(ctx context.Context) error {
	if err := s.Store.Ping(ctx); err != nil {
		return err
	}
	return s.room()
}

// room is nil while there is room on the disk for new work.
func (s *Service) room() error {
	if s.Room == nil {
		return nil
	}
	return s.Room()
}

// Pool counts what waits and runs.
func (s *Service) Pool(ctx context.Context) (api.Pool, error) {
	stats, err := s.Store.Stats(ctx)
	if err != nil {
		return api.Pool{}, err
	}
	return api.Pool{Pending: stats.Queued, Running: stats.Running, MaxWorkers: s.MaxWorkers, MaxQueueSize: s.MaxQueue}, nil
}

// Sandboxes are those that wait.
func (s *Service) Sandboxes(ctx context.Context) api.Sandboxes {
	if s.Warm == nil {
		return api.Sandboxes{}
	}
	return s.Warm(ctx)
}

// DeadLetters lists what was given up.
func (s *Service) DeadLetters(ctx context.Context, errorType string, limit, offset int) ([]store.DeadLetter, bool, error) {
	return s.Store.DeadLetters(ctx, errorType, limit, offset)
}

// DeadLetterStats counts dead letters by error type.
func (s *Service) DeadLetterStats(ctx context.Context) (map[string]int, error) {
	return s.Store.DeadLetterStats(ctx)
}

// DeleteDeadLetter removes one.
func (s *Service) DeleteDeadLetter(ctx context.Context, id int64) error {
	return s.Store.DeleteDeadLetter(ctx, id)
}

// ReplayDeadLetter submits the job of a dead letter again, for whom it was, and
// removes the letter. Twice at once makes one job.
func (s *Service) ReplayDeadLetter(ctx context.Context, p job.Principal, id int64, c api.Caller) (job.Record, error) {
	d, err := s.Store.DeadLetter(ctx, id)
	if err != nil {
		return job.Record{}, err
	}
	o := origin(p, c)
	o.Principal.Owner = d.Owner
	o.IdempotencyKey = fmt.Sprintf("dlq:%d", id) // no key of a request has a colon
	r, err := s.derive(ctx, d.JobID, job.Rerun, api.Derivation{}, o)
	if errors.Is(err, store.ErrNotFound) {
		return job.Record{}, api.ErrNoReplay // it was purged
	}
	if err != nil {
		return job.Record{}, err
	}
	if err := s.Store.DeleteDeadLetter(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return job.Record{}, err
	}
	return r, nil
}

// Deliveries lists webhooks that p sees, of one job or batch if id is not empty.
func (s *Service) Deliveries(ctx context.Context, p job.Principal, id string, limit, offset int) ([]store.Delivery, bool, error) {
	if id != "" {
		_, err := s.Jobs.Get(ctx, p, id)
		if errors.Is(err, store.ErrNotFound) {
			_, err = s.Batch(ctx, p, id)
		}
		if err != nil {
			return nil, false, err
		}
	}
	var owner *string
	if !p.Can(job.ScopeAdmin) {
		owner = &p.Owner
	}
	return s.Store.ListDeliveries(ctx, owner, id, limit, offset)
}
