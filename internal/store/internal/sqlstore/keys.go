package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

const keyColumns = "id, name, hash, prefix, scopes, created_at, expires_at, last_used_at, webhook_secret"

func scanKey(scan Scan) (k job.Key, err error) {
	var scopes []byte
	if err := scan(&k.ID, &k.Name, &k.Hash, &k.Prefix, &scopes, instant{&k.CreatedAt}, instant{&k.ExpiresAt},
		instant{&k.LastUsedAt}, &k.WebhookSecret); err != nil {
		return job.Key{}, err
	}
	return k, json.Unmarshal(scopes, &k.Scopes)
}

// CreateKey stores an API key.
func (s *Store) CreateKey(ctx context.Context, k job.Key) error {
	scopes, err := marshal(k.Scopes)
	if err != nil {
		return wrap("encoding scopes", err)
	}
	err = s.write(ctx, "key", func(ctx context.Context, t *txn) error {
		n, err := t.Exec(ctx, "INSERT INTO api_keys ("+keyColumns+") VALUES ("+marks(1, 9)+") ON CONFLICT DO NOTHING",
			k.ID, k.Name, k.Hash, k.Prefix, scopes, nanos(k.CreatedAt), nanos(k.ExpiresAt), nanos(k.LastUsedAt), k.WebhookSecret)
		if err == nil && n == 0 {
			err = invalid("there is an API key with this id or hash already")
		}
		return err
	})
	return wrap("storing an API key", err)
}

func (s *Store) key(ctx context.Context, condition string, arg any) (k job.Key, err error) {
	found := false
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, "SELECT "+keyColumns+" FROM api_keys WHERE "+condition, []any{arg}, func(scan Scan) (err error) {
			found = true
			k, err = scanKey(scan)
			return err
		})
	})
	if err == nil && !found {
		return job.Key{}, store.ErrNotFound
	}
	return k, wrap("reading an API key", err)
}

// KeyByHash finds the key that a request brought.
func (s *Store) KeyByHash(ctx context.Context, hash []byte) (job.Key, error) {
	return s.key(ctx, "hash = $1", hash)
}

// Key finds a key by its id.
func (s *Store) Key(ctx context.Context, id string) (job.Key, error) {
	return s.key(ctx, "id = $1", id)
}

// ListKeys lists all keys, oldest first.
func (s *Store) ListKeys(ctx context.Context) (keys []job.Key, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, "SELECT "+keyColumns+" FROM api_keys ORDER BY created_at, id", nil, func(scan Scan) error {
			k, err := scanKey(scan)
			keys = append(keys, k)
			return err
		})
	})
	return keys, wrap("listing API keys", err)
}

// DeleteKey removes a key; its records stay.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	return s.change(ctx, "key", "removing an API key", "DELETE FROM api_keys WHERE id = $1", id)
}

// TouchKey notes that a key was used.
func (s *Store) TouchKey(ctx context.Context, id string, at time.Time) error {
	return s.change(ctx, "key", "noting the use of an API key", "UPDATE api_keys SET last_used_at = $2 WHERE id = $1", id, nanos(at))
}

// change runs one statement that has to find its row.
func (s *Store) change(ctx context.Context, name, doing, query string, args ...any) error {
	err := s.write(ctx, name, func(ctx context.Context, t *txn) error {
		n, err := t.Exec(ctx, query, args...)
		if err == nil && n == 0 {
			return store.ErrNotFound
		}
		return err
	})
	return wrap(doing, err)
}
