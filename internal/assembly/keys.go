package assembly

import (
	"context"
	"errors"
	"time"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Keys are the API keys in the database of a configuration, for a command that
// asks no server.
type Keys struct{ store store.Store }

// OpenKeys opens the database, beside a server or without one. One whose tables
// are another version's is job.KindConfig.
func OpenKeys(ctx context.Context, cfg *config.Config) (*Keys, error) {
	st, err := openBeside(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Keys{st}, nil
}

// Close closes the database.
func (k *Keys) Close() error { return k.store.Close() }

// CreateKey makes a key.
func (k *Keys) CreateKey(ctx context.Context, r wire.KeyRequest) (*wire.CreatedKey, error) {
	var expires time.Time
	if r.ExpiresAt != "" {
		var err error
		if expires, err = time.Parse(time.RFC3339, r.ExpiresAt); err != nil {
			return nil, job.Errorf(job.KindInvalid, "expires_at: %w", err)
		}
	}
	scopes := make([]job.Scope, len(r.Scopes))
	for i, s := range r.Scopes {
		scopes[i] = job.Scope(s)
	}
	stored, key := api.MakeKey(r.Name, scopes, time.Now(), expires)
	if err := k.store.CreateKey(ctx, stored); err != nil {
		return nil, err
	}
	return &wire.CreatedKey{Key: api.NewKey(&stored), APIKey: key.Reveal(), WebhookSecret: stored.WebhookSecret}, nil
}

// Keys lists them.
func (k *Keys) Keys(ctx context.Context) ([]wire.Key, error) {
	stored, err := k.store.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	list := []wire.Key{}
	for i := range stored {
		list = append(list, api.NewKey(&stored[i]))
	}
	return list, nil
}

// DeleteKey removes one.
func (k *Keys) DeleteKey(ctx context.Context, id string) (*wire.KeyRemoved, error) {
	err := k.store.DeleteKey(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, job.Errorf(job.KindNotFound, "there is no key with the id %s; tako keys list shows them", id)
	}
	if err != nil {
		return nil, err
	}
	return &wire.KeyRemoved{Status: "removed", ID: id}, nil
}
