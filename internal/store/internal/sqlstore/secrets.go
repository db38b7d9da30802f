package sqlstore

import (
	"context"

	"github.com/takovm/tako/internal/store"
)

const secretColumns = "name, sealed, changed_at"

func scanSecret(scan Scan) (s store.Secret, err error) {
	err = scan(&s.Name, &s.Sealed, instant{&s.ChangedAt})
	return s, err
}

// PutSecret stores a secret, or changes it.
func (s *Store) PutSecret(ctx context.Context, v store.Secret) error {
	err := s.write(ctx, "secret", func(ctx context.Context, t *txn) error {
		_, err := t.Exec(ctx, "INSERT INTO secrets ("+secretColumns+") VALUES ("+marks(1, 3)+
			") ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at", v.Name, v.Sealed, nanos(v.ChangedAt))
		return err
	})
	return wrap("storing a secret", err)
}

// Secret finds one by its name.
func (s *Store) Secret(ctx context.Context, name string) (v store.Secret, err error) {
	found := false
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, "SELECT "+secretColumns+" FROM secrets WHERE name = $1", []any{name}, func(scan Scan) (err error) {
			found = true
			v, err = scanSecret(scan)
			return err
		})
	})
	if err == nil && !found {
		return store.Secret{}, store.ErrNotFound
	}
	return v, wrap("reading a secret", err)
}

// ListSecrets lists all by name.
func (s *Store) ListSecrets(ctx context.Context) (list []store.Secret, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		list = nil
		return q.Each(ctx, "SELECT "+secretColumns+" FROM secrets ORDER BY name", nil, func(scan Scan) error {
			v, err := scanSecret(scan)
			list = append(list, v)
			return err
		})
	})
	return list, wrap("listing secrets", err)
}

// DeleteSecret removes one.
func (s *Store) DeleteSecret(ctx context.Context, name string) error {
	return s.change(ctx, "secret", "removing a secret", "DELETE FROM secrets WHERE name = $1", name)
}
