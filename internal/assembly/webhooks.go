package assembly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/metrics"
	"github.com/takovm/tako/internal/netguard"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/webhook"
)

// webhooks makes what delivers them. Addresses are judged as those of jobs are,
// ports are free: receivers listen where they like.
func (s *served) webhooks(cfg *config.Config) (*webhook.Dispatcher, error) {
	allow, err := allowedCIDRs(cfg)
	if err != nil {
		return nil, err
	}
	guard, err := netguard.New(netguard.Options{Allow: allow, Ports: netguard.AnyPort()})
	if err != nil {
		return nil, err
	}
	return webhook.New(webhook.Options{
		Deliveries: counted{s.Store, s.metrics}, Guard: guard, AllowHTTP: cfg.WebhookAllowHTTP, Wake: s.ended, Log: s.log,
		Build: func(ctx context.Context, d store.Delivery) (webhook.Message, error) { return s.message(ctx, cfg, d) },
	}), nil
}

// message is the slim record of a job, or the state of a batch, signed with the
// secret of the key that asked for it.
func (s *served) message(ctx context.Context, cfg *config.Config, d store.Delivery) (m webhook.Message, err error) {
	var body any
	if d.BatchID != "" {
		b, err := s.Store.Batch(ctx, d.BatchID)
		if err != nil {
			return m, err
		}
		m.Event, body = "batch.finished", api.NewBatch(&b)
	} else {
		r, err := s.Store.Get(ctx, d.JobID)
		if err != nil {
			return m, err
		}
		m.Event, body = "job.finished", wire.NewRecord(&r)
	}
	if m.Body, err = json.Marshal(body); err != nil {
		return m, fmt.Errorf("encoding a webhook: %w", err)
	}
	m.Secret, err = s.secret(ctx, cfg, d.Owner)
	return m, err
}

// secret is that of the owner's key. One that was deleted signs nothing any
// more, and neither does anything in its place.
func (s *served) secret(ctx context.Context, cfg *config.Config, owner string) (string, error) {
	if owner == "" {
		return cfg.WebhookSecret.Reveal(), nil
	}
	k, err := s.Store.Key(ctx, owner)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return k.WebhookSecret, err
}

// counted counts what becomes of deliveries.
type counted struct {
	webhook.Deliveries
	metrics *metrics.Metrics
}

func (c counted) SaveDelivery(ctx context.Context, d store.Delivery) error {
	c.metrics.Webhook(d.Status)
	return c.Deliveries.SaveDelivery(ctx, d)
}
