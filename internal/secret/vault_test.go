package secret

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// shelf keeps sealed values in memory.
type shelf struct {
	mu sync.Mutex
	m  map[string]store.Secret
}

func (s *shelf) PutSecret(_ context.Context, v store.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[v.Name] = v
	return nil
}

func (s *shelf) Secret(_ context.Context, name string) (store.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[name]
	if !ok {
		return v, store.ErrNotFound
	}
	return v, nil
}

func (s *shelf) ListSecrets(context.Context) (list []store.Secret, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.m {
		list = append(list, v)
	}
	return list, nil
}

func (s *shelf) DeleteSecret(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.m[name]; !ok {
		return store.ErrNotFound
	}
	delete(s.m, name)
	return nil
}

func newVault(t *testing.T) (*Vault, *shelf) {
	s := &shelf{m: map[string]store.Secret{}}
	return &Vault{Stored: s, File: filepath.Join(t.TempDir(), "new", "secret.key")}, s
}

const value = "sk-0123456789"

func TestVault(t *testing.T) {
	v, s := newVault(t)
	if _, err := v.Reveal(t.Context(), "API_KEY"); job.KindOf(err) != job.KindNotFound {
		t.Errorf("one that is not set: %v", err)
	}
	if _, err := os.Stat(v.File); err == nil {
		t.Error("a key was made for nothing")
	}
	if _, err := v.Put(t.Context(), "API_KEY", value); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(v.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(v.File), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	if bytes.Contains(s.m["API_KEY"].Sealed, []byte(value[3:])) {
		t.Error("it is stored as it is")
	}
	again := &Vault{Stored: s, File: v.File} // another process
	if got, err := again.Reveal(t.Context(), "API_KEY"); got != value || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if list, err := v.List(t.Context()); err != nil || len(list) != 1 || list[0].Name != "API_KEY" || list[0].ChangedAt.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	if err := v.Delete(t.Context(), "API_KEY"); err != nil {
		t.Error(err)
	}
	if err := v.Delete(t.Context(), "API_KEY"); job.KindOf(err) != job.KindNotFound {
		t.Error(err)
	}
}

func TestValues(t *testing.T) {
	v, _ := newVault(t)
	for name, tt := range map[string]struct{ name, value, want string }{
		"short":        {"A", "1234567", "has 7 bytes; a secret has 8 to 8192"},
		"long":         {"A", strings.Repeat("x", MaxValue+1), "has 8193 bytes"},
		"two lines":    {"A", "12345\r\nHost: b", "cannot be sent in a header"},
		"a space":      {"A", "12345678 ", "cannot be sent in a header"},
		"no ASCII":     {"A", "passwörter", "cannot be sent in a header"},
		"no name":      {"", value, "cannot be the name"},
		"a digit":      {"1A", value, "cannot be the name"},
		"with a value": {"A=" + value, value, "the name of a secret has no ="},
		"a dot":        {"A.B", value, "cannot be the name"},
		"a long name":  {strings.Repeat("A", 65), value, "cannot be the name"},
	} {
		_, err := v.Put(t.Context(), tt.name, tt.value)
		if job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.value) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(v.File); err == nil {
		t.Error("a key was made for nothing")
	}
}

// Whatever is wrong with the key or with what is stored, nothing is revealed and
// nothing is made anew.
func TestKeys(t *testing.T) {
	other, _ := newVault(t)
	if _, err := other.Put(t.Context(), "A", value); err != nil {
		t.Fatal(err)
	}
	otherKey, err := os.ReadFile(other.File)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		spoil func(file string, s *shelf) error
		want  string
	}{
		"lost":          {func(file string, _ *shelf) error { return os.Remove(file) }, "is not there; put it back"},
		"open":          {func(file string, _ *shelf) error { return os.Chmod(file, 0o640) }, "may be read by others (mode 0640); chmod 600"},
		"empty":         {func(file string, _ *shelf) error { return os.Truncate(file, 0) }, "does not hold 64 hexadecimal digits"},
		"too long":      {func(file string, _ *shelf) error { return os.WriteFile(file, append(otherKey, "00"...), 0o600) }, "does not hold 64"},
		"another":       {func(file string, _ *shelf) error { return os.WriteFile(file, otherKey, 0o600) }, "was sealed with another key"},
		"another value": {func(_ string, s *shelf) error { return s.PutSecret(context.Background(), renamed(s.m["B"], "A")) }, "is damaged"},
		"a damaged one": {func(_ string, s *shelf) error { s.m["A"].Sealed[30] ^= 1; return nil }, "is damaged"},
		"a short one":   {func(_ string, s *shelf) error { s.m["A"] = store.Secret{Name: "A", Sealed: []byte{1}}; return nil }, "is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := newVault(t)
			for _, n := range []string{"A", "B"} {
				if _, err := v.Put(t.Context(), n, value+n); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.spoil(v.File, s); err != nil {
				t.Fatal(err)
			}
			again := &Vault{Stored: s, File: v.File}
			got, err := again.Reveal(t.Context(), "A")
			if got != "" || job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q, %v", got, err)
			}
			if name == "lost" {
				if _, err := again.Put(t.Context(), "C", value); job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "put it back") {
					t.Errorf("another one: %v", err)
				}
			}
		})
	}
}

func renamed(s store.Secret, name string) store.Secret {
	s.Name = name
	return s
}

// Processes that store the first secret at once have one key.
func TestFirstTogether(t *testing.T) {
	first, s := newVault(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			v := &Vault{Stored: s, File: first.File}
			if _, err := v.Put(t.Context(), string(rune('A'+i)), value); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for name := range s.m {
		if got, err := first.Reveal(t.Context(), name); got != value || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k, err := newKey(make([]byte, keySize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("A", k.seal("A", value))
	f.Add("", []byte{1})
	f.Fuzz(func(t *testing.T, name string, sealed []byte) {
		if got, err := k.open(name, sealed); err == nil && len(got)+1+idSize+12+16 != len(sealed) {
			t.Errorf("%q from %d bytes", got, len(sealed))
		}
	})
}
