//go:build tako_next

package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// keyPrefix begins every stored key, so that what cannot be one costs no look
// into the store, and so that scanners of leaked secrets know it.
const keyPrefix = "tako_"

const keyBytes = 32

// NewKey makes an API key: what is stored of it, and the key itself, which is
// not kept. A zero expires is never.
func NewKey(name string, scopes []job.Scope, now, expires time.Time) (stored job.Key, key string) {
	secret := func() string {
		var b [keyBytes]byte
		_, _ = rand.Read(b[:]) // never fails
		return base64.RawURLEncoding.EncodeToString(b[:])
	}
	key = keyPrefix + secret()
	hash := sha256.Sum256([]byte(key))
	return job.Key{
		ID: newUUID(), Name: name, Hash: hash[:], Prefix: key[:len(keyPrefix)+6], Scopes: scopes,
		CreatedAt: now, ExpiresAt: expires, WebhookSecret: secret(),
	}, key
}

// everyone is who calls where nobody is asked who they are.
func everyone() job.Principal {
	return job.Principal{Name: "anonymous", Scopes: []job.Scope{job.ScopeAdmin}}
}

// authenticate answers who makes the request; nil for nobody. It rejects
// nothing: the rate limit comes first.
func (a *API) authenticate(r *http.Request) (*job.Principal, error) {
	if !a.options.Auth {
		p := everyone()
		return &p, nil
	}
	token := a.token(r.Header)
	if token == "" {
		return nil, nil
	}
	if p := a.configured(token); p != nil {
		return p, nil
	}
	return a.stored(r, token)
}

// token is the configured header's value, or else that of a bearer. The
// configured header decides even if it is empty.
func (a *API) token(h http.Header) string {
	if values, ok := h[http.CanonicalHeaderKey(a.options.AuthHeader)]; ok {
		if bearer, ok := bearer(values[0]); ok && strings.EqualFold(a.options.AuthHeader, "Authorization") {
			return bearer
		}
		return values[0]
	}
	for _, value := range h.Values("Authorization") {
		if token, ok := bearer(value); ok {
			return token
		}
	}
	return ""
}

func bearer(value string) (token string, ok bool) {
	scheme, token, found := strings.Cut(value, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// configured compares with every key, whichever matches: how long it takes says
// nothing. Hashes have one length whatever the keys have.
func (a *API) configured(token string) *job.Principal {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range a.keys {
		if subtle.ConstantTimeCompare(sum[:], a.keys[i][:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return nil
	}
	return &job.Principal{Name: fmt.Sprintf("api_key:%d", found), Scopes: []job.Scope{job.ScopeRead, job.ScopeExecute, job.ScopeAdmin}}
}

// stored looks for a key in the store, if it can be one.
func (a *API) stored(r *http.Request, token string) (*job.Principal, error) {
	secret, ok := strings.CutPrefix(token, keyPrefix)
	if !ok || len(secret) != base64.RawURLEncoding.EncodedLen(keyBytes) {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(token))
	key, err := a.service.KeyByHash(r.Context(), sum[:])
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for an API key: %w", err)
	}
	expired := !key.ExpiresAt.IsZero() && !a.options.Now().Before(key.ExpiresAt)
	if expired || subtle.ConstantTimeCompare(sum[:], key.Hash) != 1 {
		return nil, nil
	}
	return &job.Principal{Name: "key:" + key.ID, Owner: key.ID, Scopes: key.Scopes}, nil
}

func unauthorized() error {
	return &statusError{status: http.StatusUnauthorized, detail: "Missing or invalid API key.",
		header: http.Header{"Www-Authenticate": {"Bearer"}}}
}
