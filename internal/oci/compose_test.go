package oci

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

// treeOf is a tree of files, by path.
func treeOf(files map[string]string) (tree []environment.TreeEntry) {
	for path, text := range files {
		tree = append(tree, environment.TreeEntry{Path: path, Mode: 0o644, Size: int64(len(text)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}})
	}
	return tree
}

// A composition has its base's layers and configuration, and its own over them;
// the base may be of any registry, compressed, with a history.
func TestCompose(t *testing.T) {
	h, s := newHub(t), storeIn(t, t.TempDir(), Limits{})
	base := h.push(imageOf(t, [][]byte{
		layerOf(t, item{name: "etc/motd", body: "old"}, item{name: "bin/sh", mode: 0o755, body: "sh"}), layerOf(t, item{name: "etc/.wh.motd"}),
	}, func(c *v1.ConfigFile, _ *v1.Manifest) {
		c.History = []v1.History{{CreatedBy: "somebody"}}
		c.Config.Entrypoint, c.Config.Env = []string{"sh"}, append(c.Config.Env, "A=old", "KEPT=yes")
	}), "team/base", "1")
	_, err := s.Pull(t.Context(), base, anonymous())
	must(t, err)
	c := Composition{
		Reference: "acme/mine:1", Base: base, Env: []string{"A=new"}, WorkingDir: "/srv", User: "7",
		Layers: [][]environment.TreeEntry{treeOf(map[string]string{"/etc/motd": "new", "/srv/a": "one"}), treeOf(map[string]string{"/srv/a": "two"})},
	}
	image, err := s.Compose(t.Context(), c, Options{})
	must(t, err)
	got := contents(t, image.Environment.Image)
	if got["/etc/motd"] != "f 644 new" || got["/srv/a"] != "f 644 two" || got["/bin/sh"] != "f 755 sh" {
		t.Errorf("it has %v", got)
	}
	config := image.Environment.Config
	if want := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "KEPT=yes", "A=new"}; !slices.Equal(config.Env, want) || config.Dir != "/srv" || config.UID != 7 || !slices.Equal(config.Entrypoint, []string{"sh"}) {
		t.Errorf("it is run with %+v", config)
	}
	if shown, err := s.Show("docker.io/acme/mine:1"); err != nil || shown.Built == nil || shown.Built.Base != base || len(shown.Blobs) != 6 || !strings.Contains(shown.Again(), "env build") {
		t.Errorf("the record is %+v, %v", shown, err)
	}
	again, err := s.Compose(t.Context(), c, Options{})
	if err != nil || again.Manifest != image.Manifest || len(leftovers(t, s)) > 0 {
		t.Errorf("again: %+v, %v, %q are left", again, err, leftovers(t, s))
	}
	// What is in blobs is the whole image: its environment can be made of them.
	if freed, err := s.Remove(t.Context(), base); err != nil || freed == 0 {
		t.Errorf("removing the base: %d, %v", freed, err)
	}
	c.Reference, c.Base, c.Layers = "acme/next:1", "acme/mine:1", nil
	if next, err := s.Compose(t.Context(), c, Options{}); err != nil || contents(t, next.Environment.Image)["/srv/a"] != "f 644 two" {
		t.Errorf("upon it: %+v, %v", next, err)
	}
}

// A pull of a name that was built here is what replaces it.
func TestPullReplacesBuilt(t *testing.T) {
	h, s := newHub(t), storeIn(t, t.TempDir(), Limits{})
	ref := h.push(plainImage(t), "acme/mine", "1")
	built, err := s.Compose(t.Context(), Composition{Reference: ref, Layers: [][]environment.TreeEntry{treeOf(map[string]string{"/a": "a"})}}, Options{})
	must(t, err)
	if found, err := s.Find(ref); err != nil || found.Digest != built.Digest || len(h.requests) > 0 {
		t.Errorf("%v, %v; the registry was asked %q", found, err, h.requests)
	}
	_, err = s.Pull(t.Context(), ref, anonymous())
	must(t, err)
	if image, err := s.Show(ref); err != nil || image.Built != nil || image.Digest == built.Digest {
		t.Errorf("after a pull it is %+v, %v", image, err)
	}
	if _, err := s.GC(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := environment.FindTree(s.environments, built.Digest); ok {
		t.Error("what was built is still there")
	}
}

func TestComposeProblems(t *testing.T) {
	s := storeIn(t, t.TempDir(), Limits{Unpacked: 1 << 20, Entries: 5})
	for name, tc := range map[string]struct {
		c    Composition
		kind job.Kind
		want string
	}{
		"no name":        {Composition{}, job.KindInvalid, "names no image"},
		"a digest":       {Composition{Reference: "a@sha256:" + strings.Repeat("0", 64)}, job.KindInvalid, "its digest is not known before"},
		"no such base":   {Composition{Reference: "a", Base: "b"}, job.KindNotFound, "docker.io/library/b:latest is not here"},
		"a whiteout":     {Composition{Reference: "a", Layers: [][]environment.TreeEntry{treeOf(map[string]string{"/x/.wh.y": ""})}}, job.KindInvalid, "means that something is removed"},
		"too many bytes": {Composition{Reference: "a", Layers: [][]environment.TreeEntry{treeOf(map[string]string{"/x": strings.Repeat("x", 1<<20+1)})}}, job.KindInvalid, "they may have 1048576"},
		"too many files": {Composition{Reference: "a", Layers: [][]environment.TreeEntry{make([]environment.TreeEntry, 6)}}, job.KindInvalid, "it may have 5"},
		"a file that is shorter": {Composition{Reference: "a", Layers: [][]environment.TreeEntry{{{Path: "/x", Size: 5, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("abc")), nil
		}}}}}, job.KindUnavailable, `copying "/x"`},
	} {
		_, err := s.Compose(t.Context(), tc.c, Options{})
		wantKind(t, err, tc.kind, tc.want)
		if left := leftovers(t, s); len(left) > 0 || len(s.List()) > 0 {
			t.Errorf("%s leaves %q and %v", name, left, s.List())
		}
	}
}

// Images are whole, whoever collects and makes others meanwhile.
func TestComposeBesideGC(t *testing.T) {
	s := storeIn(t, t.TempDir(), Limits{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 5 {
				c := Composition{Reference: fmt.Sprintf("a:%d", i), Layers: [][]environment.TreeEntry{treeOf(map[string]string{"/common": "x"}), treeOf(map[string]string{"/own": fmt.Sprint(i % 2 * n)})}}
				if _, err := s.Compose(t.Context(), c, Options{}); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 5 {
				if _, err := s.GC(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, image := range s.List() {
		if _, err := s.Find(image.Reference); err != nil {
			t.Error(err)
		}
		for _, d := range image.Blobs {
			if s.has(v1.Hash{Algorithm: "sha256", Hex: d}) < 0 {
				t.Errorf("%s lacks %s", image.Reference, d)
			}
		}
	}
	if len(s.List()) != 4 || len(leftovers(t, s)) > 0 {
		t.Errorf("there are %d images, and %q are left", len(s.List()), leftovers(t, s))
	}
}
