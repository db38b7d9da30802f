package tako

import (
	"context"
	"net/http"

	"github.com/takovm/tako/internal/api/wire"
)

// Secrets lists the stored secrets, without their values.
func (c *Client) Secrets(ctx context.Context) ([]Secret, error) {
	return listOf[Secret](ctx, c, "/secrets")
}

// SetSecret stores a secret that job types may bind, or changes it.
func (c *Client) SetSecret(ctx context.Context, name, value string) (*Secret, error) {
	path, err := pathOf("/secrets/", name, "")
	if err != nil {
		return nil, err
	}
	return answerOf[Secret](ctx, c, call{method: http.MethodPut, path: path, body: wire.SecretRequest{Value: value}, repeat: true})
}

// DeleteSecret removes a secret. Jobs that need it fail from then on.
func (c *Client) DeleteSecret(ctx context.Context, name string) (*SecretRemoved, error) {
	path, err := pathOf("/secrets/", name, "")
	if err != nil {
		return nil, err
	}
	return answerOf[SecretRemoved](ctx, c, remove(path))
}
