package oci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/job"
)

func TestRemove(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	s := storeIn(t, t.TempDir(), Limits{})
	shared := layerOf(t, item{name: "base", body: "shared"})
	first, second := imageOf(t, [][]byte{shared, layerOf(t, item{name: "a"})}, nil), imageOf(t, [][]byte{shared, layerOf(t, item{name: "b"})}, nil)
	one, err := s.Pull(t.Context(), h.push(first, "one", "1"), anonymous())
	must(t, err)
	two, err := s.Pull(t.Context(), h.push(second, "two", "1"), anonymous())
	must(t, err)
	held, err := two.Environment.Hold()
	must(t, err)
	defer held()

	freed, err := s.Remove(t.Context(), one.Reference)
	must(t, err)
	if freed < one.Size {
		t.Errorf("freed %d bytes of an image of %d", freed, one.Size)
	}
	if s.has(first.order[0]) < 0 || s.has(first.order[1]) >= 0 || s.has(first.manifest) >= 0 {
		t.Error("what both have in common is gone, or the rest is not")
	}
	if _, err := os.Stat(one.Environment.Image); err == nil {
		t.Error("its environment is still there")
	}
	_, err = s.Find(one.Reference)
	wantKind(t, err, job.KindNotFound, "tako env pull")
	_, err = s.Remove(t.Context(), one.Reference)
	wantKind(t, err, job.KindNotFound)

	// What somebody holds goes at the next collection.
	_, err = s.Remove(t.Context(), two.Reference)
	must(t, err)
	if _, err := os.Stat(two.Environment.Image); err != nil {
		t.Error("the environment was held")
	}
	held()
	freed, err = s.GC(t.Context())
	must(t, err)
	if _, err := os.Stat(two.Environment.Image); err == nil || freed != two.Size {
		t.Errorf("freed %d bytes of %d: %v", freed, two.Size, err)
	}
}

func TestGC(t *testing.T) {
	t.Parallel()
	h, dir := newHub(t), t.TempDir()
	s := storeIn(t, dir, Limits{})
	image := plainImage(t)
	got, err := s.Pull(t.Context(), h.push(image, "a", "1"), anonymous())
	must(t, err)
	for _, name := range []string{"partial/" + image.manifest.Hex, "partial/1.tmp", "blobs/" + strings.Repeat("a", 64)} {
		must(t, os.WriteFile(filepath.Join(s.dir, name), []byte("12345"), 0o600))
	}
	// Nobody collects while somebody pulls.
	release, err := storeIn(t, dir, Limits{}).lock(t.Context(), syscall.LOCK_SH)
	must(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.GC(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("it did not wait: %v", err)
	}
	release()
	freed, err := s.GC(t.Context())
	must(t, err)
	if freed != 15 || len(leftovers(t, s)) > 0 {
		t.Errorf("freed %d bytes, left %v", freed, leftovers(t, s))
	}
	if _, err := s.Find(got.Reference); err != nil {
		t.Error(err)
	}
}

// A pull that is given up leaves what another can go on with, and no record.
func TestPullIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	ref := h.push(plainImage(t), "a", "1")
	s := storeIn(t, t.TempDir(), Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Pull(ctx, ref, anonymous()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if len(s.List()) > 0 {
		t.Error("it is recorded")
	}
}

// What the disk damages is found and fetched again.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	s := storeIn(t, t.TempDir(), Limits{})
	image := plainImage(t)
	ref := h.push(image, "a", "1")
	got, err := s.Pull(t.Context(), ref, anonymous())
	must(t, err)
	damage := func(name string) {
		content, err := os.ReadFile(name)
		must(t, err)
		content[len(content)/2] ^= 0xff
		must(t, os.Remove(name))
		must(t, os.WriteFile(name, content, 0o600))
	}
	damage(s.blob(image.order[0]))
	must(t, os.Remove(got.Environment.Image))
	_, err = s.Find(ref)
	wantKind(t, err, job.KindNotFound, "tako env pull")
	_, err = s.Pull(t.Context(), ref, anonymous())
	wantKind(t, err, job.KindUnavailable, "pull again")
	_, err = s.Pull(t.Context(), ref, anonymous())
	must(t, err)
	must(t, os.WriteFile(s.recordPath(got.Reference), []byte("{"), 0o600))
	_, err = s.Find(ref)
	wantKind(t, err, job.KindNotFound)
}

func TestStoreCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(filepath.Join(file, "images"), t.TempDir(), Limits{})
	wantKind(t, err, job.KindUnavailable, "cannot be written")
}
