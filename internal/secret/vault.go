package secret

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/redact"
	"github.com/takovm/tako/internal/store"
)

// Limits of a value, in bytes. A shorter one could not be told from what stands
// in a text by chance.
const (
	MinValue = redact.MinLength
	MaxValue = 8 << 10
)

// Vault is the secrets of an installation.
type Vault struct {
	// Stored is where sealed values are.
	Stored store.Secrets
	// File is the key's. It is made when the first secret is put.
	File string
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	mu  sync.Mutex
	key *key
}

// Info is what may be told of a secret.
type Info struct {
	Name      string
	ChangedAt time.Time
}

// Put keeps a value under a name, in the place of an earlier one. What cannot be
// one is job.KindInvalid.
func (v *Vault) Put(ctx context.Context, name, value string) (Info, error) {
	if err := check(name, value); err != nil {
		return Info{}, err
	}
	k, err := v.sealing(ctx)
	if err != nil {
		return Info{}, err
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	s := store.Secret{Name: name, Sealed: k.seal(name, value), ChangedAt: now()}
	return Info{name, s.ChangedAt}, v.Stored.PutSecret(ctx, s)
}

func check(name, value string) error {
	switch {
	case strings.Contains(name, "="): // and a value, probably
		return job.Errorf(job.KindInvalid, "the name of a secret has no =").WithHint("give the name alone; the value comes from a file or standard input")
	case !job.ValidSecretName(name):
		return job.Errorf(job.KindInvalid, "%.80q cannot be the name of a secret", name).
			WithHint("it is a variable's: up to 64 of A-Z, a-z, 0-9 and _, no digit first")
	case len(value) < MinValue || len(value) > MaxValue:
		return job.Errorf(job.KindInvalid, "the value of %s has %d bytes", name, len(value)).
			WithHint("a secret has %d to %d", MinValue, MaxValue)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(value) != value:
		return job.Errorf(job.KindInvalid, "the value of %s cannot be sent in a header", name).
			WithHint("it has to be of printable ASCII, without spaces around it")
	}
	return nil
}

// sealing is the key to seal with. Where there is none, one is made, but not
// beside secrets that were sealed with one that is lost.
func (v *Vault) sealing(ctx context.Context) (*key, error) {
	k, err := v.opening()
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	list, err := v.Stored.ListSecrets(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 { // maybe by another process, which has made the key just now
		if k, err = v.opening(); errors.Is(err, fs.ErrNotExist) {
			err = v.noKey()
		}
		return k, err
	}
	if err := makeKey(v.File); err != nil {
		return nil, job.Errorf(job.KindConfig, "%w", err).WithHint("name another file with secret_key_file")
	}
	return v.opening()
}

func (v *Vault) noKey() error {
	return job.Errorf(job.KindConfig, "there are secrets, and their key file %s is not there", v.File).
		WithHint("put it back, or name it with secret_key_file; servers with one database need the same. " +
			"If it is lost, remove the secrets and set them again")
}

// opening is the key, read once.
func (v *Vault) opening() (*key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.key != nil {
		return v.key, nil
	}
	k, err := readKey(v.File)
	v.key = k
	return k, err
}

// Reveal answers a value. One that is not set is job.KindNotFound.
func (v *Vault) Reveal(ctx context.Context, name string) (string, error) {
	s, err := v.Stored.Secret(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", job.Errorf(job.KindNotFound, "secret %s is not set", name).WithHint("tako secrets set %s", name)
	}
	if err != nil {
		return "", err
	}
	k, err := v.opening()
	if errors.Is(err, fs.ErrNotExist) {
		return "", v.noKey()
	}
	if err != nil {
		return "", err
	}
	value, err := k.open(name, s.Sealed)
	if err != nil {
		return "", job.Errorf(job.KindConfig, "secret %s cannot be read: %w", name, err).
			WithHint("put the key file that it was set with to %s, or set it again", v.File)
	}
	return value, nil
}

// List tells which secrets there are, by name.
func (v *Vault) List(ctx context.Context) ([]Info, error) {
	stored, err := v.Stored.ListSecrets(ctx)
	list := make([]Info, 0, len(stored))
	for _, s := range stored {
		list = append(list, Info{s.Name, s.ChangedAt})
	}
	return list, err
}

// Delete removes one; job.KindNotFound where there is none.
func (v *Vault) Delete(ctx context.Context, name string) error {
	err := v.Stored.DeleteSecret(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return job.Errorf(job.KindNotFound, "there is no secret %.80q", name).WithHint("tako secrets list shows them")
	}
	return err
}
