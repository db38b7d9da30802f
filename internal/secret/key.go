package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/takovm/tako/internal/job"
)

const (
	version = 1
	keySize = 32
	idSize  = 4
)

// key seals and opens.
type key struct {
	id   []byte
	aead cipher.AEAD
}

func newKey(raw []byte) (*key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("the key of secrets: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("the key of secrets: %w", err)
	}
	sum := sha256.Sum256(append([]byte("tako key id\n"), raw...))
	return &key{sum[:idSize], aead}, nil
}

// seal encrypts the value of name.
func (k *key) seal(name, value string) []byte {
	out := append([]byte{version}, k.id...)
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce) // which never fails
	out = append(out, nonce...)
	return k.aead.Seal(out, nonce, []byte(value), additional(name))
}

var (
	errOtherKey = errors.New("it was sealed with another key")
	errDamaged  = errors.New("it is damaged")
)

// open decrypts what seal made of name's value.
func (k *key) open(name string, sealed []byte) (string, error) {
	head := 1 + idSize + k.aead.NonceSize()
	switch {
	case len(sealed) < head || sealed[0] != version:
		return "", errDamaged
	case !bytes.Equal(sealed[1:1+idSize], k.id):
		return "", errOtherKey
	}
	value, err := k.aead.Open(nil, sealed[1+idSize:head], sealed[head:], additional(name))
	if err != nil {
		return "", errDamaged
	}
	return string(value), nil
}

func additional(name string) []byte { return []byte("tako secret\n" + name) }

// readKey reads a key file. One that others may read is refused: whoever has it
// and the database has the secrets.
func readKey(path string) (*key, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // one that is a FIFO waits for nobody
	if err != nil {
		return nil, fmt.Errorf("the key file of secrets: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the key file of secrets: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, job.Errorf(job.KindConfig, "the key file of secrets, %s, is not a regular file", path).WithHint("name another one with secret_key_file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, job.Errorf(job.KindConfig, "the key file of secrets, %s, may be read by others (mode %04o)", path, info.Mode().Perm()).
			WithHint("chmod 600 %s", path)
	}
	const most = 2*keySize + 2 // and a line end
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("the key file of secrets: %w", err)
	}
	raw, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(raw) != keySize {
		return nil, job.Errorf(job.KindConfig, "the key file of secrets, %s, does not hold 64 hexadecimal digits", path).
			WithHint("put the right file in its place; a new one is made only where there are no secrets yet")
	}
	return newKey(raw)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeKey makes a key file, unless there is one by now: whole, or not at all.
func makeKey(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("the folder of the key file of secrets: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return fmt.Errorf("making the key file of secrets: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw)
	_, err = f.WriteString(hex.EncodeToString(raw) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if err == nil { // what is sealed with it may be on the disk before it
		err = syncFolder(filepath.Dir(path))
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was first
	}
	if err != nil {
		return fmt.Errorf("making the key file of secrets: %w", err)
	}
	return nil
}
