package build

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rack is a builder with layers that nobody has installed.
type rack struct {
	*Builder
	now  time.Time
	base environment.Environment
}

func newRack(t *testing.T) *rack {
	t.Helper()
	dir := t.TempDir()
	s := &rack{now: time.Now(), base: environment.Environment{Name: "python", Digest: strings.Repeat("ab", 32), Languages: map[string]environment.Language{"python": {}}}}
	b, err := New(Options{
		Dir: filepath.Join(dir, "packages"), Environments: filepath.Join(dir, "environments"), Now: func() time.Time { return s.now },
		Base: func(digest string) (environment.Environment, bool) { return s.base, digest == s.base.Digest },
	})
	must(t, err)
	s.Builder = b
	return s
}

// put keeps a layer for a list of requirements, as an installation does that ended
// so long ago.
func (s *rack) put(t *testing.T, content string, ago time.Duration, requirements ...string) environment.Environment {
	t.Helper()
	layer, err := environment.PackLayer(t.Context(), s.o.Environments, []environment.TreeEntry{{
		Path: "/a.py", Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}}, nil)
	must(t, err)
	env := s.base.With(layer)
	then := s.now.Add(-ago)
	rec := record{Base: s.base.Digest, Requirements: requirements, Layer: layer.Digest, Installed: []string{"a==1"}, At: then}
	for _, name := range []string{"env-" + env.Digest, s.List(s.base, requirements)} {
		must(t, s.write(s.path(name), rec))
		must(t, os.Chtimes(s.path(name), then, then))
	}
	must(t, os.Chtimes(layer.Image, then, then))
	return env
}

func (s *rack) digests(t *testing.T, needs Needs) (all []string) {
	t.Helper()
	layers, err := s.Layers(needs)
	must(t, err)
	for _, l := range layers {
		all = append(all, l.Digest)
	}
	return all
}

const day = 24 * time.Hour

// What nothing needs, nobody holds and nobody has used for long goes, with its
// records, and nothing else does.
func TestCollect(t *testing.T) {
	s := newRack(t)
	old := s.put(t, "old", 9*day, "old")
	version := s.put(t, "version", 9*day, "version")
	listed := s.put(t, "listed", 9*day, "b", "a")
	held := s.put(t, "held", 9*day, "held")
	young := s.put(t, "young", day, "young")
	shared := s.put(t, "shared", 9*day, "shared==1")
	s.put(t, "shared", 2*day, "shared")
	asked := s.put(t, "asked", 9*day, "asked")
	if env, err := s.Python(t.Context(), Request{Base: s.base, Requirements: []string{"asked"}}); err != nil || env.Digest != asked.Digest {
		t.Fatal(env, err)
	}
	rerun := s.put(t, "rerun", 9*day, "rerun")
	if env, ok := s.Find(rerun.Digest); !ok || env.Digest != rerun.Digest {
		t.Fatal(env, ok)
	}
	lost := s.put(t, "lost", 9*day, "lost")
	must(t, os.Remove(lost.Packages.Image))
	release, err := environment.Environment{Image: held.Packages.Image}.Hold()
	must(t, err)
	stale := filepath.Join(s.o.Dir, strings.Repeat("0", 64)+".lock")
	must(t, os.WriteFile(stale, nil, 0o600))
	must(t, os.Chtimes(stale, s.now.Add(-9*day), s.now.Add(-9*day)))
	needs := Needs{Environments: map[string]string{version.Digest: "mine@v1"}, Lists: map[string]string{s.List(s.base, []string{"A", "b"}): "job type mine"}}

	gone, err := s.Collect(t.Context(), needs, s.now.Add(-3*day))
	must(t, err)
	var names []string
	for _, l := range gone {
		names = append(names, l.Digest)
	}
	slices.Sort(names)
	want := []string{old.Packages.Digest, lost.Packages.Digest}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("gone are %q, not %q", names, want)
	}
	left := s.digests(t, needs)
	for what, env := range map[string]environment.Environment{"version": version, "list": listed, "held": held, "young": young, "shared": shared, "asked": asked, "rerun": rerun} {
		if !slices.Contains(left, env.Packages.Digest) {
			t.Errorf("%s is gone", what)
		}
	}
	if _, ok := s.Find(old.Digest); ok {
		t.Error("the environment of a layer that is gone is still found")
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("a lock of nobody is left")
	}
	release()
	if gone, err = s.Collect(t.Context(), Needs{}, s.now); err != nil || len(gone) != 5 {
		t.Errorf("without needs %d are gone, %v: what was used within a minute stays", len(gone), err)
	}
	if left := s.digests(t, needs); len(left) != 2 {
		t.Errorf("%q are left", left)
	}
	records, err := filepath.Glob(filepath.Join(s.o.Dir, "*.json"))
	must(t, err)
	if len(records) != 4 {
		t.Errorf("%d records are left", len(records))
	}
}

func TestRemoveLayer(t *testing.T) {
	s := newRack(t)
	env := s.put(t, "a", 0, "a")
	digest := env.Packages.Digest
	_, err := s.Remove(t.Context(), digest[:12], Needs{Environments: map[string]string{env.Digest: "mine@v1"}})
	if job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), "needed by mine@v1") {
		t.Errorf("one that is needed: %v", err)
	}
	release, err := environment.Environment{Image: env.Packages.Image}.Hold()
	must(t, err)
	if _, err := s.Remove(t.Context(), digest, Needs{}); job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), "in use") {
		t.Errorf("one that is held: %v", err)
	}
	release()
	if l, err := s.Remove(t.Context(), digest[:12], Needs{}); err != nil || l.Digest != digest {
		t.Errorf("%+v, %v", l, err)
	}
	for _, name := range []string{digest, digest[:11], "", strings.Repeat("0", 12), "../" + digest[:20]} {
		if _, err := s.Remove(t.Context(), name, Needs{}); job.KindOf(err) != job.KindNotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(s.o.Dir, "*.json")); err != nil || len(left) > 0 {
		t.Errorf("%q are left, %v", left, err)
	}
}

// Whoever finds a layer while others are collected can hold it: it was used.
func TestCollectBesideUsers(t *testing.T) {
	s := newRack(t)
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		s.put(t, name, 9*day, name)
		all.Go(func() {
			for range 50 {
				env, ok := s.known(Request{Base: s.base}, s.List(s.base, []string{name}))
				if !ok {
					return // it was collected before
				}
				release, err := environment.Environment{Name: name, Image: env.Packages.Image}.Hold()
				if err != nil {
					t.Errorf("%s was found, and is gone: %v", name, err)
					return
				}
				release()
			}
		})
	}
	for range 20 {
		if _, err := s.Collect(t.Context(), Needs{}, s.now.Add(-day)); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer s.together()()
	cancel()
	if _, err := s.Collect(ctx, Needs{}, s.now); err == nil {
		t.Error("it did not wait for who keeps a layer")
	}
}
