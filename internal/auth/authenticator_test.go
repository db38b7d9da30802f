package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// shelf keeps keys in memory and counts what it is asked.
type shelf struct {
	mu       sync.Mutex
	keys     map[string]job.Key
	lookUps  int
	touches  []string
	err      error  // of every look-up
	touchErr error  // of every touch
	meddle   func() // called in the middle of a look-up
}

func newShelf() *shelf { return &shelf{keys: map[string]job.Key{}} }

func (s *shelf) add(id string, change func(*job.Key)) Key {
	key := NewKey()
	k := job.Key{ID: id, Hash: key.Hash(), Scopes: []job.Scope{job.ScopeExecute}}
	if change != nil {
		change(&k)
	}
	s.keys[string(key.Hash())] = k
	return key
}

func (s *shelf) KeyByHash(_ context.Context, hash []byte) (job.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookUps++
	k, ok := s.keys[string(hash)]
	if s.meddle != nil {
		s.meddle()
	}
	if s.err != nil {
		return job.Key{}, s.err
	}
	if !ok {
		return job.Key{}, store.ErrNotFound
	}
	return k, nil
}

func (s *shelf) TouchKey(ctx context.Context, id string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.touches = append(s.touches, id)
	return s.touchErr
}

// clock is set by hand.
type clock struct{ now time.Time }

func newClock() *clock                 { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func (c *clock) read() time.Time       { return c.now }
func (c *clock) add(d time.Duration)   { c.now = c.now.Add(d) }
func carrying(text string) http.Header { return http.Header{"X-Api-Key": {text}} }

func TestAuthenticate(t *testing.T) {
	s, c := newShelf(), newClock()
	good := s.add("good", nil)
	admin := s.add("admin", func(k *job.Key) { k.Scopes = []job.Scope{job.ScopeAdmin} })
	expired := s.add("expired", func(k *job.Key) { k.ExpiresAt = c.now })
	valid := s.add("valid", func(k *job.Key) { k.ExpiresAt = c.now.Add(time.Nanosecond) })
	wrong := good.Reveal()[:53] + "-"
	if wrong == good.Reveal() {
		wrong = good.Reveal()[:53] + "A"
	}
	a := New(Options{Configured: []string{"first configured key", "", "second configured key"}, Keys: s, Now: c.read})
	for _, tc := range []struct {
		name, text string
		want       job.Principal
		why        string // of the refusal
	}{
		{"a configured key", "first configured key", job.Principal{Name: "api_key:0", Scopes: everything()}, ""},
		{"another one", "second configured key", job.Principal{Name: "api_key:2", Scopes: everything()}, ""},
		{"a stored key", good.Reveal(), job.Principal{Name: "key:good", Owner: "good", Scopes: []job.Scope{job.ScopeExecute}}, ""},
		{"a stored key of an admin", admin.Reveal(), job.Principal{Name: "key:admin", Owner: "admin", Scopes: []job.Scope{job.ScopeAdmin}}, ""},
		{"one that is about to expire", valid.Reveal(), job.Principal{Name: "key:valid", Owner: "valid", Scopes: []job.Scope{job.ScopeExecute}}, ""},
		{"nothing", "", job.Principal{}, "there is none"},
		{"the start of a configured key", "first configured ke", job.Principal{}, "not an API key of tako"},
		{"another case", "First configured key", job.Principal{}, "not an API key of tako"},
		{"a key with a typing error", wrong, job.Principal{}, "checksum"},
		{"a key that nobody has", NewKey().Reveal(), job.Principal{}, "no key tako_"},
		{"an expired key", expired.Reveal(), job.Principal{}, "key expired has expired"},
		{"a hash", string(good.Hash()), job.Principal{}, "not an API key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := a.Authenticate(t.Context(), carrying(tc.text))
			if diff := cmp.Diff(tc.want, p); diff != "" {
				t.Error(diff)
			}
			if (tc.why == "") != (err == nil) {
				t.Fatalf("error: %v", err)
			}
			if err != nil && (!errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("error: %v", err)
			}
			if err != nil && len(tc.text) > 20 && strings.Contains(err.Error(), tc.text) {
				t.Errorf("the error has the key: %v", err)
			}
		})
	}
}

func TestNoKeysAtAll(t *testing.T) {
	for _, text := range []string{"", "x", NewKey().Reveal()} {
		if p, err := New(Options{Configured: []string{""}}).Authenticate(t.Context(), carrying(text)); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%q is %v, %v", text, p, err)
		}
	}
}

func TestScopes(t *testing.T) {
	if p := Anonymous(); !p.Can(job.ScopeAdmin) || p.Owner != "" || p.Name != "anonymous" {
		t.Errorf("%+v", p)
	}
	s := newShelf()
	key := s.add("a", nil)
	a := New(Options{Keys: s})
	p, err := a.Authenticate(t.Context(), carrying(key.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	p.Scopes[0] = job.ScopeAdmin // a caller that changes its own copy
	if p, _ = a.Authenticate(t.Context(), carrying(key.Reveal())); p.Can(job.ScopeAdmin) {
		t.Error("the cached key was changed")
	}
}

func TestStoreDown(t *testing.T) {
	s := newShelf()
	key := s.add("a", nil)
	s.err = job.Errorf(job.KindUnavailable, "the database is down")
	a := New(Options{Keys: s})
	_, err := a.Authenticate(t.Context(), carrying(key.Reveal()))
	if errors.Is(err, ErrUnauthenticated) || job.KindOf(err) != job.KindUnavailable {
		t.Errorf("the error is %v", err)
	}
	s.err = nil
	if _, err := a.Authenticate(t.Context(), carrying(key.Reveal())); err != nil {
		t.Errorf("the failure was remembered: %v", err)
	}
}

// A store that goes wrong must not let the finder of a hash in.
func TestStoreAnswersAnotherKey(t *testing.T) {
	s := newShelf()
	key := s.add("a", func(k *job.Key) { k.Hash = NewKey().Hash() })
	if p, err := New(Options{Keys: s}).Authenticate(t.Context(), carrying(key.Reveal())); err == nil {
		t.Errorf("it is %v", p)
	}
}

func TestCache(t *testing.T) {
	s, c := newShelf(), newClock()
	key := s.add("a", func(k *job.Key) { k.ExpiresAt = c.now.Add(20 * time.Second) })
	a := New(Options{Keys: s, Now: c.read, CacheFor: 15 * time.Second})
	ask := func() error {
		_, err := a.Authenticate(t.Context(), carrying(key.Reveal()))
		return err
	}
	for _, step := range []struct {
		name    string
		do      func()
		lookUps int
		ok      bool
	}{
		{"first", func() {}, 1, true},
		{"from the cache", func() {}, 1, true},
		{"to the end", func() { c.add(15*time.Second - 1) }, 1, true},
		{"looked up again", func() { c.add(1) }, 2, true},
		{"expiry of a cached key", func() { c.add(5 * time.Second) }, 2, false},
		{"deleted, and forgotten", func() { clear(s.keys); a.Forget("a") }, 3, false},
		{"absence is not cached", func() {}, 4, false},
	} {
		step.do()
		if err := ask(); (err == nil) != step.ok || s.lookUps != step.lookUps {
			t.Errorf("%s: %d look-ups, want %d; %v", step.name, s.lookUps, step.lookUps, err)
		}
	}
}

// A key is deleted while it is looked up: what was found is not remembered.
func TestForgetDuringLookUp(t *testing.T) {
	s := newShelf()
	key := s.add("a", nil)
	a := New(Options{Keys: s})
	s.meddle = func() { clear(s.keys); a.Forget("a"); s.meddle = nil }
	if _, err := a.Authenticate(t.Context(), carrying(key.Reveal())); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), carrying(key.Reveal())); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a deleted key is accepted: %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	s, c := newShelf(), newClock()
	a := New(Options{Keys: s, Now: c.read, CacheSize: 10})
	for range 50 {
		key := s.add(NewKey().Shown(), nil)
		if _, err := a.Authenticate(t.Context(), carrying(key.Reveal())); err != nil {
			t.Fatal(err)
		}
		if len(a.cache.keys) > 10 || len(a.cache.touched) > 10 {
			t.Fatalf("%d keys, %d uses are remembered", len(a.cache.keys), len(a.cache.touched))
		}
	}
	c.add(time.Hour)
	key := s.add("last", nil)
	if _, err := a.Authenticate(t.Context(), carrying(key.Reveal())); err != nil || len(a.cache.keys) != 1 || len(a.cache.touched) != 1 {
		t.Errorf("%d keys, %d uses are left, %v", len(a.cache.keys), len(a.cache.touched), err)
	}
	never := New(Options{Keys: s, CacheFor: -1})
	if _, err := never.Authenticate(t.Context(), carrying(key.Reveal())); err != nil || len(never.cache.keys) != 0 {
		t.Errorf("a cache that is off has %d keys, %v", len(never.cache.keys), err)
	}
}

func TestTouch(t *testing.T) {
	s, c := newShelf(), newClock()
	key := s.add("a", func(k *job.Key) { k.LastUsedAt = c.now.Add(-30 * time.Second) })
	expired := s.add("expired", func(k *job.Key) { k.ExpiresAt = c.now })
	s.touchErr = errors.New("the database is locked") // is nobody's problem
	a := New(Options{Keys: s, Now: c.read})
	gone, cancel := context.WithCancel(t.Context())
	cancel() // the client went away: the use is noted all the same
	for i, step := range []struct {
		wait    time.Duration
		touches int
	}{{0, 0}, {29 * time.Second, 0}, {time.Second, 1}, {time.Second, 1}, {58 * time.Second, 1}, {time.Second, 2}, {time.Hour, 3}} {
		c.add(step.wait)
		if _, err := a.Authenticate(gone, carrying(key.Reveal())); err != nil {
			t.Fatal(err)
		}
		if len(s.touches) != step.touches {
			t.Errorf("step %d: %d touches, want %d", i, len(s.touches), step.touches)
		}
	}
	if _, err := a.Authenticate(t.Context(), carrying(expired.Reveal())); err == nil || slices.Contains(s.touches, "expired") {
		t.Error("an expired key was used")
	}
}

func TestTogether(t *testing.T) {
	s := newShelf()
	key := s.add("a", nil)
	a := New(Options{Keys: s, Configured: []string{"configured key"}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				for _, text := range []string{key.Reveal(), "configured key"} {
					if _, err := a.Authenticate(t.Context(), carrying(text)); err != nil {
						t.Error(err)
					}
				}
				a.Forget("a")
			}
		})
	}
	wg.Wait()
}
