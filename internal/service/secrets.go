package service

import (
	"context"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/secret"
)

// ListSecrets tells what a vault has.
func ListSecrets(ctx context.Context, v *secret.Vault) ([]wire.Secret, error) {
	list, err := v.List(ctx)
	out := []wire.Secret{}
	for _, s := range list {
		out = append(out, wire.Secret{Name: s.Name, ChangedAt: wire.NewTime(s.ChangedAt)})
	}
	return out, err
}

// SetSecret keeps a value in a vault.
func SetSecret(ctx context.Context, v *secret.Vault, name, value string) (*wire.Secret, error) {
	s, err := v.Put(ctx, name, value)
	if err != nil {
		return nil, err
	}
	return &wire.Secret{Name: s.Name, ChangedAt: wire.NewTime(s.ChangedAt)}, nil
}

// ListSecrets answers the secrets, without values.
func (s *Service) ListSecrets(ctx context.Context) ([]wire.Secret, error) {
	return ListSecrets(ctx, s.Secrets)
}

// SetSecret keeps a value.
func (s *Service) SetSecret(ctx context.Context, name, value string) (*wire.Secret, error) {
	return SetSecret(ctx, s.Secrets, name, value)
}

// DeleteSecret removes a secret; jobs that need it fail from then on.
func (s *Service) DeleteSecret(ctx context.Context, name string) error {
	return s.Secrets.Delete(ctx, name)
}
