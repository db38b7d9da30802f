package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// ErrUnauthenticated is wrapped by every refusal of Authenticate; the text
// around it says why, for logs. Callers are not told.
var ErrUnauthenticated = errors.New("missing or invalid API key")

// Keys are the stored keys, of a store.Store.
type Keys interface {
	// KeyByHash answers store.ErrNotFound for a hash that no key has.
	KeyByHash(ctx context.Context, hash []byte) (job.Key, error)
	// TouchKey notes when a key was last used.
	TouchKey(ctx context.Context, id string, at time.Time) error
}

// Options configure an Authenticator. The zero value knows no key.
type Options struct {
	// Header carries the key, beside "Authorization: Bearer". Default
	// X-API-Key.
	Header string
	// Configured are the keys of the configuration. Empty ones are left out of
	// account, but keep their index.
	Configured []string
	// Keys are the stored ones. Nil is none.
	Keys Keys
	// CacheFor is how long a stored key is not looked up again: as long, a key
	// that another server deleted is still accepted here. Default 15 seconds;
	// negative is not at all.
	CacheFor time.Duration
	// CacheSize is how many keys that is for, at most. Default 1,024.
	CacheSize int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Log hears of what goes wrong beside a request. Default: nobody does.
	Log *slog.Logger
}

const (
	defaultCacheFor  = 15 * time.Second
	defaultCacheSize = 1024
	// touchEvery is how exactly the last use of a key is known.
	touchEvery = time.Minute
	// touchTime is how long a request waits for that to be stored.
	touchTime = 2 * time.Second
)

// Authenticator tells who makes a request. Any number of goroutines may use
// it.
type Authenticator struct {
	o          Options
	configured [][sha256.Size]byte
	empty      []bool // by index of configured
	cache      cache
}

// New makes an Authenticator.
func New(o Options) *Authenticator {
	if o.Header == "" {
		o.Header = DefaultHeader
	}
	if o.CacheFor == 0 {
		o.CacheFor = defaultCacheFor
	}
	if o.CacheSize <= 0 {
		o.CacheSize = defaultCacheSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Authenticator{o: o, cache: newCache(o.CacheSize, o.CacheFor)}
	for _, text := range o.Configured {
		// Hashes have one length, so comparing takes the same time for all.
		a.configured = append(a.configured, sha256.Sum256([]byte(text)))
		a.empty = append(a.empty, text == "")
	}
	return a
}

// Anonymous is who makes requests where no key is asked for: everything is
// allowed.
func Anonymous() job.Principal { return job.Principal{Name: "anonymous", Scopes: everything()} }

func everything() []job.Scope { return []job.Scope{job.ScopeRead, job.ScopeExecute, job.ScopeAdmin} }

// Authenticate answers whose key a request carries. The error wraps
// ErrUnauthenticated when it carries none that stands; another error says that
// this cannot be told now.
func (a *Authenticator) Authenticate(ctx context.Context, h http.Header) (job.Principal, error) {
	text := credential(h, a.o.Header)
	if text == "" {
		return job.Principal{}, fmt.Errorf("%w: there is none", ErrUnauthenticated)
	}
	if i := a.configuredIndex(text); i >= 0 {
		return job.Principal{Name: "api_key:" + strconv.Itoa(i), Scopes: everything()}, nil
	}
	key, err := ParseKey(text)
	if err != nil {
		return job.Principal{}, fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	}
	return a.stored(ctx, key)
}

// configuredIndex compares a text with all keys of the configuration, whether
// or not one before was right, and answers the index of the last that is; -1
// for none.
func (a *Authenticator) configuredIndex(text string) int {
	sum := sha256.Sum256([]byte(text))
	found := -1
	for i := range a.configured {
		same := subtle.ConstantTimeCompare(sum[:], a.configured[i][:])
		if a.empty[i] {
			same = 0
		}
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	return found
}

// stored answers whose stored key it is.
func (a *Authenticator) stored(ctx context.Context, key Key) (job.Principal, error) {
	if a.o.Keys == nil {
		return job.Principal{}, fmt.Errorf("%w: no keys are stored", ErrUnauthenticated)
	}
	k, err := a.lookUp(ctx, key.Hash())
	if errors.Is(err, store.ErrNotFound) {
		return job.Principal{}, fmt.Errorf("%w: no key %s", ErrUnauthenticated, key)
	}
	if err != nil {
		return job.Principal{}, fmt.Errorf("looking up an API key: %w", err)
	}
	now := a.o.Now()
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return job.Principal{}, fmt.Errorf("%w: key %s has expired", ErrUnauthenticated, k.ID)
	}
	a.touch(ctx, k, now)
	return job.Principal{Name: "key:" + k.ID, Owner: k.ID, Scopes: slices.Clone(k.Scopes)}, nil
}

// lookUp answers a stored key from the cache or the store. What is not there
// is not cached: strangers would fill the cache.
func (a *Authenticator) lookUp(ctx context.Context, hash []byte) (job.Key, error) {
	k, generation, ok := a.cache.get([sha256.Size]byte(hash), a.o.Now())
	if ok {
		return k, nil
	}
	k, err := a.o.Keys.KeyByHash(ctx, hash)
	if err != nil {
		return job.Key{}, err
	}
	// A store that answered another key would let its finder in.
	if subtle.ConstantTimeCompare(k.Hash, hash) != 1 {
		return job.Key{}, job.Errorf(job.KindInternal, "the store answered key %s for the hash of another", k.ID)
	}
	a.cache.put([sha256.Size]byte(hash), k, a.o.Now(), generation)
	return k, nil
}

// touch notes that a key is used, once a minute. The request that does it waits
// for it, shortly; that it cannot be noted is no reason to refuse a request.
func (a *Authenticator) touch(ctx context.Context, k job.Key, now time.Time) {
	if !a.cache.due(k, now) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), touchTime)
	defer cancel()
	if err := a.o.Keys.TouchKey(ctx, k.ID, now); err != nil {
		a.o.Log.Warn("the last use of an API key was not noted", "key", k.ID, "error", err)
	}
}

// Forget takes a key out of the cache: whoever deletes or changes one calls it
// after the store did. Look-ups that are under way do not bring it back.
func (a *Authenticator) Forget(id string) { a.cache.forget(id) }
