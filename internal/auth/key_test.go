package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		k := NewKey()
		if len(k.Reveal()) != 54 || seen[k.Reveal()] {
			t.Fatalf("key %q", k.Reveal())
		}
		seen[k.Reveal()] = true
		back, err := ParseKey(k.Reveal())
		if err != nil || back != k {
			t.Fatalf("%q comes back as %q: %v", k.Reveal(), back.Reveal(), err)
		}
		if want := sha256.Sum256([]byte(k.Reveal())); !bytes.Equal(k.Hash(), want[:]) {
			t.Fatal("the hash is not that of the text")
		}
		if k.Shown() != k.Reveal()[:11] {
			t.Fatalf("shown %q", k.Shown())
		}
	}
}

// A known key: the format is a promise to whoever was given one.
func TestKeyFormat(t *testing.T) {
	const known = "tako_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0QBvpA"
	if k, err := ParseKey(known); err != nil || k.Reveal() != known {
		t.Errorf("%q, %v", k.Reveal(), err)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	good := NewKey().Reveal()
	other := byte('a')
	if good[20] == other {
		other = 'b'
	}
	for _, tc := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", ErrNotKey},
		{"a password", "correct horse battery staple", ErrNotKey},
		{"another prefix", "Tako_" + good[5:], ErrNotKey},
		{"cut off", good[:53], ErrNotKey},
		{"more", good + "a", ErrNotKey},
		{"a space in front", " " + good, ErrNotKey},
		{"a character that is none of base64url", good[:20] + "+" + good[21:], ErrNotKey},
		{"a line break", good[:20] + "\n" + good[21:], ErrNotKey},
		{"one wrong character", good[:20] + string(other) + good[21:], ErrChecksum},
		{"two changed places", swapped(good), ErrChecksum},
		{"another checksum", good[:48] + "AAAAAA", ErrChecksum},
	} {
		if _, err := ParseKey(tc.text); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// swapped exchanges two neighbours that differ, outside the last character.
func swapped(key string) string {
	b := []byte(key)
	for i := 6; i < 40; i++ {
		if b[i] != b[i+1] {
			b[i], b[i+1] = b[i+1], b[i]
			break
		}
	}
	return string(b)
}

func TestKeyIsMasked(t *testing.T) {
	k := NewKey()
	secret := k.Reveal()[11:]
	text, err := json.Marshal(map[string]any{"key": k})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s %q", k, k, k, k, k), string(text), fmt.Sprint(&k), Key{}.String()} {
		if strings.Contains(printed, secret) {
			t.Errorf("printed: %s", printed)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(NewKey().Reveal())
	f.Add("tako_" + strings.Repeat("A", 49))
	f.Add("tako_\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err != nil {
			if !errors.Is(err, ErrNotKey) && !errors.Is(err, ErrChecksum) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if k.Reveal() != text || len(text) != keyLen || strings.ContainsAny(text, " \r\n+/=") {
			t.Fatalf("%q is a key", text)
		}
	})
}

func TestCredential(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		h            http.Header
		want         string
	}{
		{"none", "X-API-Key", http.Header{}, ""},
		{"the configured header", "X-API-Key", http.Header{"X-Api-Key": {"k"}}, "k"},
		{"in any case", "x-api-KEY", http.Header{"X-Api-Key": {"k"}}, "k"},
		{"with spaces", "X-API-Key", http.Header{"X-Api-Key": {" k "}}, "k"},
		{"another one", "X-Secret", http.Header{"X-Api-Key": {"k"}}, ""},
		{"bearer", "X-API-Key", http.Header{"Authorization": {"Bearer k"}}, "k"},
		{"bearer in any case", "X-API-Key", http.Header{"Authorization": {"bEARER   k"}}, "k"},
		{"bearer of nothing", "X-API-Key", http.Header{"Authorization": {"Bearer "}}, ""},
		{"bearer alone", "X-API-Key", http.Header{"Authorization": {"Bearer"}}, ""},
		{"another scheme", "X-API-Key", http.Header{"Authorization": {"Basic k"}}, ""},
		{"the configured one decides", "X-API-Key", http.Header{"X-Api-Key": {"a"}, "Authorization": {"Bearer b"}}, "a"},
		{"even when it is empty", "X-API-Key", http.Header{"X-Api-Key": {""}, "Authorization": {"Bearer b"}}, ""},
		{"the first of two", "X-API-Key", http.Header{"X-Api-Key": {"a", "b"}}, "a"},
		{"Authorization is the configured one", "Authorization", http.Header{"Authorization": {"k"}}, "k"},
		{"with a scheme", "authorization", http.Header{"Authorization": {"Bearer k"}}, "k"},
		{"a scheme in the configured one is part of the key", "X-API-Key", http.Header{"X-Api-Key": {"Bearer k"}}, "Bearer k"},
	} {
		if got := credential(tc.h, tc.header); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
