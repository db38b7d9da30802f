package assembly

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/secret"
	"github.com/takovm/tako/internal/service"
	"github.com/takovm/tako/internal/store"
)

// vault is where the secrets of a configuration are.
func vault(cfg *config.Config, stored store.Secrets) *secret.Vault {
	return &secret.Vault{Stored: stored, File: cmp.Or(cfg.SecretKeyFile, filepath.Join(cfg.DataDir, "secret.key"))}
}

// Secrets are those in the database of a configuration, for a command that asks
// no server.
type Secrets struct {
	*secret.Vault
	store store.Store
}

// OpenSecrets opens the database, beside a server or without one. One whose
// tables are another version's is job.KindConfig.
func OpenSecrets(ctx context.Context, cfg *config.Config) (*Secrets, error) {
	st, err := openBeside(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Secrets{vault(cfg, st), st}, nil
}

// Close closes the database.
func (s *Secrets) Close() error { return s.store.Close() }

// Secrets lists them, without values.
func (s *Secrets) Secrets(ctx context.Context) ([]wire.Secret, error) {
	return service.ListSecrets(ctx, s.Vault)
}

// SetSecret keeps a value.
func (s *Secrets) SetSecret(ctx context.Context, name, value string) (*wire.Secret, error) {
	return service.SetSecret(ctx, s.Vault, name, value)
}

// DeleteSecret removes one.
func (s *Secrets) DeleteSecret(ctx context.Context, name string) (*wire.SecretRemoved, error) {
	if err := s.Delete(ctx, name); err != nil {
		return nil, err
	}
	return &wire.SecretRemoved{Status: "removed", Name: name}, nil
}

// Trusted is what programs of job types with secrets trust: what this machine
// does, and who opens their connections. Without a list of this machine's they
// trust that one alone.
func Trusted(a *egress.Authority, log *slog.Logger) *runner.Trust {
	own := a.PEM()
	all, err := hostRoots()
	if err != nil && log != nil {
		log.Warn("no certificate authorities of this machine were found: jobs with secrets trust only the hosts of these", "error", err)
	}
	if len(all) > 0 && !bytes.HasSuffix(all, []byte("\n")) {
		all = append(all, '\n')
	}
	return &runner.Trust{All: append(bytes.Clone(all), own...), Own: own}
}

// hostRoots are this machine's certificate authorities: the file of
// SSL_CERT_FILE, or the first that there is of those where distributions have
// them, as crypto/x509 looks for them.
func hostRoots() (all []byte, err error) {
	files := []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
	if own := os.Getenv("SSL_CERT_FILE"); own != "" {
		files = []string{own}
	}
	for _, file := range files {
		if all, err = os.ReadFile(file); err == nil {
			break
		}
	}
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(all) {
		return nil, os.ErrInvalid
	}
	return all, err
}
