package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
)

const (
	keyPrefix   = "tako_"
	randomBytes = 32
	randomLen   = 43 // of 32 bytes in base64url
	checkLen    = 6  // of 4 bytes
	keyLen      = len(keyPrefix) + randomLen + checkLen
	// shownLen is how much of a key a list shows. It tells keys apart and
	// leaves 220 random bits.
	shownLen = len(keyPrefix) + 6
)

// Why text is not a key. All of them mean that it cannot be a stored one.
var (
	ErrNotKey   = errors.New("not an API key of tako")
	ErrChecksum = errors.New("the API key has a typing error: its checksum does not match")
)

// Key is the text of an API key. It is masked wherever it is printed; Reveal
// answers the text itself, which is shown once, when the key is made.
type Key struct{ text string }

// NewKey makes a key of 256 random bits.
func NewKey() Key {
	var random [randomBytes]byte
	rand.Read(random[:]) // never fails
	body := keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return Key{body + checksum(body)}
}

// checksum answers six characters for the text before them.
func checksum(body string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(body)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseKey takes what a caller sent, or a person typed: exactly what Reveal
// answered. The errors are ErrNotKey and ErrChecksum.
func ParseKey(text string) (Key, error) {
	if len(text) != keyLen || !strings.HasPrefix(text, keyPrefix) {
		return Key{}, ErrNotKey
	}
	body, check := text[:keyLen-checkLen], text[keyLen-checkLen:]
	// Strict, so that a key has one spelling: the last character holds bits
	// that stand for nothing.
	encoding := base64.RawURLEncoding.Strict()
	// The decoder skips line breaks, which would give a key two spellings.
	if strings.ContainsAny(text, "\r\n") {
		return Key{}, ErrNotKey
	}
	if _, err := encoding.DecodeString(body[len(keyPrefix):]); err != nil {
		return Key{}, ErrNotKey
	}
	if check != checksum(body) {
		return Key{}, ErrChecksum
	}
	return Key{text}, nil
}

// Reveal answers the key. Its result must not be logged.
func (k Key) Reveal() string { return k.text }

// Hash is what is stored of a key: the SHA-256 of its text, 32 bytes.
func (k Key) Hash() []byte {
	sum := sha256.Sum256([]byte(k.text))
	return sum[:]
}

// Shown is the start of the key, to tell keys apart in a list: "tako_" and six
// characters.
func (k Key) Shown() string { return k.text[:min(shownLen, len(k.text))] }

// String masks the key.
func (k Key) String() string { return k.Shown() + "***" }

// GoString masks the key, too.
func (k Key) GoString() string { return k.String() }

// MarshalText masks the key, for JSON and logs.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
