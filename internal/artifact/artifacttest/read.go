package artifacttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

func (s *suite) cancelled(t *testing.T) {
	store := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(bytes.NewReader(sample(100_000)), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}), bytes.NewReader(sample(100_000)))
	if _, _, err := store.Put(ctx, r, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	empty(t, store)
	if _, err := store.Open(ctx, digestOf(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	if n, err := f(p); n > 0 || err != nil {
		return n, err
	}
	return 0, io.EOF
}

func (s *suite) ranges(t *testing.T) {
	store := s.open(t)
	data := sample(300_000)
	b, err := store.Open(t.Context(), put(t, store, data))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, tc := range []struct {
		name   string
		offset int64
		whence int
		want   int64
	}{
		{"the middle", 150_000, io.SeekStart, 150_000},
		{"further on", 20_000, io.SeekCurrent, 170_000 + 100},
		{"back", -100_000, io.SeekCurrent, 70_000 + 200},
		{"the end", -100, io.SeekEnd, 299_900},
		{"the start", 0, io.SeekStart, 0},
	} {
		at, err := b.Seek(tc.offset, tc.whence)
		if err != nil || at != tc.want {
			t.Fatalf("%s: at %d, want %d: %v", tc.name, at, tc.want, err)
		}
		part := make([]byte, 100)
		if _, err := io.ReadFull(b, part); err != nil || !bytes.Equal(part, data[at:at+100]) {
			t.Errorf("%s: other bytes: %v", tc.name, err)
		}
	}
	if _, err := b.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek to before the start works")
	}
	if _, err := b.Seek(10, io.SeekEnd); err != nil {
		t.Errorf("a seek behind the end: %v", err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a read behind the end: %d, %v", n, err)
	}
}

// serve answers what an HTTP server that serves this blob sends for a range.
func serve(t *testing.T, b *artifact.Blob, byteRange string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", b.ModTime, b)
	return w
}

func (s *suite) served(t *testing.T) {
	store := s.open(t)
	data := sample(10_000)
	d := put(t, store, data)
	for byteRange, want := range map[string][]byte{"": data, "bytes=100-199": data[100:200], "bytes=-10": data[9990:]} {
		b, err := store.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if w := serve(t, b, byteRange); !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("range %q: %d bytes, status %d", byteRange, w.Body.Len(), w.Code)
		}
		b.Close()
	}
}

func (s *suite) damage(t *testing.T) {
	good := sample(50_000)
	for name, bad := range map[string][]byte{
		"one bit":  append([]byte{good[0] ^ 1}, good[1:]...),
		"the end":  append(slices.Clone(good[:49_999]), good[49_999]^0x80),
		"shorter":  good[:40_000],
		"longer":   append(slices.Clone(good), 0),
		"all gone": {},
	} {
		store := s.open(t)
		d := put(t, store, good)
		s.Damage(t, store, d, bad)
		got, err := read(t, store, d)
		if !errors.Is(err, artifact.ErrCorrupt) || job.KindOf(err) != job.KindInternal {
			t.Errorf("%s: %v", name, err)
		}
		if len(bad) > 0 && len(got) >= len(bad) {
			t.Errorf("%s: all %d bytes were answered", name, len(got))
		}
		if err := artifact.Verify(t.Context(), store, d); !errors.Is(err, artifact.ErrCorrupt) {
			t.Errorf("%s: verify: %v", name, err)
		}
	}
}

// http.ServeContent reads exactly as many bytes as there are and never sees
// the end, so the last of them must not come.
func (s *suite) damageServed(t *testing.T) {
	store := s.open(t)
	good := sample(50_000)
	d := put(t, store, good)
	s.Damage(t, store, d, append([]byte{good[0] ^ 1}, good[1:]...))
	b, err := store.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if w := serve(t, b, ""); w.Body.Len() >= len(good) {
		t.Errorf("%d bytes were sent", w.Body.Len())
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("the damage is forgotten: %v", err)
	}
}

func (s *suite) openSize(t *testing.T) {
	store := s.open(t)
	d := put(t, store, sample(1000))
	b, err := artifact.OpenSize(t.Context(), store, d, 1000)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := artifact.OpenSize(t.Context(), store, d, 999); !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("a record that says otherwise: %v", err)
	}
	if _, err := artifact.OpenSize(t.Context(), store, digestOf([]byte("x")), 1); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("a blob that is not there: %v", err)
	}
}

func (s *suite) mended(t *testing.T) {
	store := s.open(t)
	data := sample(5000)
	d := put(t, store, data)
	s.Damage(t, store, d, data[:10])
	put(t, store, data)
	if err := artifact.Verify(t.Context(), store, d); err != nil {
		t.Error(err)
	}
}

func (s *suite) delete(t *testing.T) {
	store := s.open(t)
	gone, kept := put(t, store, []byte("gone")), put(t, store, []byte("kept"))
	for range 2 {
		if err := store.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Stat(t.Context(), gone); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
	if _, err := read(t, store, kept); err != nil {
		t.Errorf("the other: %v", err)
	}
}

func (s *suite) deleteBefore(t *testing.T) {
	store := s.open(t)
	d := put(t, store, []byte("blob"))
	info, err := store.Stat(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		d    artifact.Digest
		t    time.Time
		want bool
	}{
		{"not older", d, info.ModTime, false},
		{"older", d, info.ModTime.Add(time.Second), true},
		{"gone already", d, info.ModTime.Add(time.Second), false},
		{"never there", digestOf([]byte("never")), info.ModTime, false},
	} {
		if done, err := store.DeleteBefore(t.Context(), tc.d, tc.t); done != tc.want || err != nil {
			t.Errorf("%s: %v, %v", tc.name, done, err)
		}
	}
	_, err = store.DeleteBefore(t.Context(), "x", info.ModTime)
	wantKind(t, err, job.KindInvalid)
}

func touch(t *testing.T, s artifact.Store, d artifact.Digest) {
	t.Helper()
	if err := s.Touch(t.Context(), d); err != nil {
		t.Fatalf("touch: %v", err)
	}
}

func (s *suite) touch(t *testing.T) {
	store := s.open(t)
	for _, data := range [][]byte{sample(100_000), {}} {
		d := put(t, store, data)
		first, err := store.Stat(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		renewed(t, store, first, func() { touch(t, store, d) })
		if done, err := store.DeleteBefore(t.Context(), d, first.ModTime.Add(time.Nanosecond)); done || err != nil {
			t.Errorf("it is as old as before: %v, %v", done, err)
		}
		if got, err := read(t, store, d); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d: %v", len(data), len(got), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Touch(ctx, digestOf(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
}

// Small blobs, at least: of a large one that is far away only some may have
// come.
func (s *suite) deleteOpen(t *testing.T) {
	store := s.open(t)
	d := put(t, store, []byte("still read"))
	b, err := store.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(b, first); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(b); string(first)+string(rest) != "still read" || err != nil {
		t.Errorf("read %q, %v", string(first)+string(rest), err)
	}
}
