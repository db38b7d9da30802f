// Package artifacttest is the suite that every store of blobs passes. A
// driver's test file calls Run; see disk's.
package artifacttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

// Driver is what the suite has to know of a driver.
type Driver struct {
	// New answers an empty store, which the suite closes.
	New func(t *testing.T) artifact.Store
	// Damage replaces the bytes of a blob behind the store's back.
	Damage func(t *testing.T, s artifact.Store, d artifact.Digest, data []byte)
	// Clutter puts things that are no blobs where blobs are kept.
	Clutter func(t *testing.T, s artifact.Store)
}

// Run holds a driver against the contract.
func Run(t *testing.T, d Driver) {
	s := &suite{d}
	for _, tc := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"what is put can be read", s.roundTrip},
		{"sizes around the limit", s.limit},
		{"the same bytes are one blob", s.same},
		{"a reader that fails leaves nothing", s.failingReader},
		{"a context that ends leaves nothing", s.cancelled},
		{"what is not there", s.notThere},
		{"what is no digest", s.noDigest},
		{"ranges", s.ranges},
		{"served over HTTP", s.served},
		{"damage is found by reading", s.damage},
		{"damage is not served as whole", s.damageServed},
		{"another size than the record's", s.openSize},
		{"a damaged blob is mended by putting it again", s.mended},
		{"delete", s.delete},
		{"delete before a time", s.deleteBefore},
		{"touch", s.touch},
		{"an open blob can be read after its end", s.deleteOpen},
		{"list", s.list},
		{"list leaves out what is no blob", s.clutter},
		{"list refuses what it cannot answer", s.listArguments},
		{"many at once", s.many},
		{"collect", s.collect},
		{"collect spares what is put meanwhile", s.collectPut},
		{"collect spares what is touched meanwhile", s.collectTouched},
		{"collect removes nothing when nobody knows", s.collectUnknown},
		{"collect many", s.collectMany},
	} {
		t.Run(tc.name, tc.run)
	}
}

type suite struct{ Driver }

func (s *suite) open(t *testing.T) artifact.Store {
	t.Helper()
	store := s.New(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

// digestOf is what the store should say.
func digestOf(data []byte) artifact.Digest {
	sum := sha256.Sum256(data)
	return artifact.Digest(hex.EncodeToString(sum[:]))
}

// sample answers n bytes that differ along the way.
func sample(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	return data
}

func put(t *testing.T, s artifact.Store, data []byte) artifact.Digest {
	t.Helper()
	d, size, err := s.Put(t.Context(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if d != digestOf(data) || size != int64(len(data)) {
		t.Fatalf("put answered %s and %d bytes", d, size)
	}
	return d
}

// read answers a blob's bytes, and what reading them came to.
func read(t *testing.T, s artifact.Store, d artifact.Digest) ([]byte, error) {
	t.Helper()
	b, err := s.Open(t.Context(), d)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(b)
}

// empty fails the test if the store has a blob.
func empty(t *testing.T, s artifact.Store) {
	t.Helper()
	if list := all(t, s); len(list) != 0 {
		t.Errorf("the store has %v", list)
	}
}

func all(t *testing.T, s artifact.Store) []artifact.Info {
	t.Helper()
	list, err := s.List(t.Context(), "", artifact.MaxList)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return list
}

func wantKind(t *testing.T, err error, kind job.Kind) {
	t.Helper()
	if err == nil || job.KindOf(err) != kind {
		t.Errorf("the error is %v of kind %s, want %s", err, job.KindOf(err), kind)
	}
}

func (s *suite) roundTrip(t *testing.T) {
	store := s.open(t)
	for _, size := range []int{0, 1, 4095, 128 << 10, 1<<20 + 1} {
		data := sample(size)
		d := put(t, store, data)
		got, err := read(t, store, d)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d: %v", size, len(got), err)
		}
		info, err := store.Stat(t.Context(), d)
		if err != nil || info.Size != int64(size) || info.Digest != d || info.ModTime.IsZero() {
			t.Errorf("stat of %d bytes: %+v, %v", size, info, err)
		}
		if err := artifact.Verify(t.Context(), store, d); err != nil {
			t.Errorf("verify of %d bytes: %v", size, err)
		}
	}
}

func (s *suite) limit(t *testing.T) {
	store := s.open(t)
	for _, tc := range []struct {
		size  int
		limit int64
	}{{1, 0}, {11, 10}, {1 << 20, 1<<20 - 1}, {0, -1}} {
		_, _, err := store.Put(t.Context(), bytes.NewReader(sample(tc.size)), tc.limit)
		wantKind(t, err, job.KindInvalid)
	}
	empty(t, store)
	for _, size := range []int{0, 10, 1 << 20} {
		put(t, store, sample(size)) // exactly the limit
	}
}

func (s *suite) same(t *testing.T) {
	store := s.open(t)
	first, second := put(t, store, []byte("same")), put(t, store, []byte("same"))
	if first != second || len(all(t, store)) != 1 {
		t.Errorf("%s and %s; %d blobs", first, second, len(all(t, store)))
	}
}

var errSource = errors.New("the client went away")

func (s *suite) failingReader(t *testing.T) {
	store := s.open(t)
	broken := io.MultiReader(bytes.NewReader(sample(100_000)), &failing{})
	if _, _, err := store.Put(t.Context(), broken, 1<<20); !errors.Is(err, errSource) {
		t.Errorf("the error is %v", err)
	}
	empty(t, store)
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errSource }

func (s *suite) notThere(t *testing.T) {
	store := s.open(t)
	d := digestOf([]byte("nobody"))
	if _, err := store.Open(t.Context(), d); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	_, err := store.Stat(t.Context(), d)
	if !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	wantKind(t, err, job.KindNotFound)
	if err := store.Delete(t.Context(), d); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := store.Touch(t.Context(), d); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("touch: %v", err)
	}
	// A neighbour makes the driver look into the same folder.
	put(t, store, []byte("somebody"))
	if _, err := store.Open(t.Context(), digestOf([]byte("somebody"))[:63]+"0"); err == nil {
		t.Error("a neighbour's digest opens it")
	}
}

func (s *suite) noDigest(t *testing.T) {
	store := s.open(t)
	for _, text := range []string{
		"", "ab", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("a", 65),
		strings.Repeat("a", 61) + "/..", "a/" + strings.Repeat("a", 62), strings.Repeat("a", 63) + "\x00",
	} {
		d := artifact.Digest(text)
		_, err := store.Open(t.Context(), d)
		wantKind(t, err, job.KindInvalid)
		_, err = store.Stat(t.Context(), d)
		wantKind(t, err, job.KindInvalid)
		wantKind(t, store.Touch(t.Context(), d), job.KindInvalid)
		wantKind(t, store.Delete(t.Context(), d), job.KindInvalid)
	}
}
