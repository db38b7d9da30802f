package oci

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

func TestPull(t *testing.T) {
	t.Parallel()
	image := imageOf(t, [][]byte{
		layerOf(t, item{name: "usr/bin/bash", mode: 0o4755, body: "#!"}, link("bin", "usr/bin"), item{name: "app/hidden"}, item{name: "etc/hosts", body: "evil"}),
		layerOf(t, item{name: "srv/data", body: "hello"}, item{name: "usr/bin/tool", mode: 0o755, body: strings.Repeat("t", 5000)}),
	}, func(c *v1.ConfigFile, _ *v1.Manifest) {
		c.Config.WorkingDir = "/srv"
		c.Config.Env = append(c.Config.Env, "A=b", "bad name=x", "none")
		c.Config.Cmd = []string{"tool"}
	})
	h := newHub(t)
	ref := h.push(image, "team/tools", "1")
	s := storeIn(t, t.TempDir(), Limits{})
	var notes []string
	o := anonymous()
	o.Progress = func(p environment.Progress) {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	}
	got, err := s.Pull(t.Context(), ref, o)
	must(t, err)
	want := map[string]string{
		"/.": "d 755", "/.tako": "d 755", "/app": "d 755", "/bin": "l usr/bin", "/code": "d 755", "/dev": "d 755", "/etc": "d 755",
		"/etc/hosts":       "f 644 127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
		"/etc/passwd":      "f 644 root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/home/sandbox:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"/etc/group":       "f 644 root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
		"/etc/resolv.conf": "f 644 nameserver 198.18.0.1\n",
		"/home":            "d 755", "/home/sandbox": "d 755", "/input": "d 755", "/output": "d 755", "/packages": "d 755", "/proc": "d 755", "/run": "d 755",
		"/node_modules": "l packages/node_modules", "/srv": "d 755", "/srv/data": "f 644 hello", "/sys": "d 755", "/tmp": "d 755",
		"/usr": "d 755", "/usr/bin": "d 755", "/usr/bin/bash": "f 755 #!", "/usr/bin/tool": "f 755 " + strings.Repeat("t", 5000),
	}
	if diff := cmp.Diff(want, contents(t, got.Environment.Image)); diff != "" {
		t.Errorf("the image (-want +got):\n%s", diff)
	}
	config := &environment.ImageConfig{
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "A=b"}, WorkingDir: "/srv", Dir: "/srv", Cmd: []string{"tool"}, UID: 1000, GID: 1000,
	}
	if diff := cmp.Diff(config, got.Environment.Config); diff != "" {
		t.Errorf("its configuration (-want +got):\n%s", diff)
	}
	if _, ok := got.Environment.Languages["bash"]; !ok || len(got.Environment.Languages) != 1 {
		t.Errorf("languages: %v", got.Environment.Languages)
	}
	if len(notes) != 3 {
		t.Errorf("notes: %q", notes)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Found again without the registry, by any way to write its name.
	h.Close()
	env, err := s.Find(ref)
	must(t, err)
	if diff := cmp.Diff(got.Environment, env); diff != "" {
		t.Errorf("found again (-want +got):\n%s", diff)
	}
}

// What is pulled again, by another name, from another registry, or into another
// store, is the same.
func TestPullTwice(t *testing.T) {
	t.Parallel()
	image := plainImage(t)
	h, dir := newHub(t), t.TempDir()
	s := storeIn(t, dir, Limits{})
	first, err := s.Pull(t.Context(), h.push(image, "a", "1"), anonymous())
	must(t, err)
	again, err := s.Pull(t.Context(), h.push(image, "b", "2"), anonymous())
	must(t, err)
	byDigest, err := s.Pull(t.Context(), h.Listener.Addr().String()+"/a@"+image.manifest.String(), anonymous())
	must(t, err)
	if n := h.asked(image.order[0]); n != 1 {
		t.Errorf("the layer was asked for %d times", n)
	}
	if len(s.List()) != 3 || again.Digest != first.Digest || byDigest.Digest != first.Digest {
		t.Errorf("images: %v", s.List())
	}
	other, err := storeIn(t, t.TempDir(), Limits{}).Pull(t.Context(), h.push(image, "a", "1"), anonymous())
	must(t, err)
	a, err := os.ReadFile(first.Environment.Image)
	must(t, err)
	b, err := os.ReadFile(other.Environment.Image)
	must(t, err)
	if !bytes.Equal(a, b) {
		t.Error("one image gave two files")
	}
}

// Several processes that pull at once download once.
func TestPullAtOnce(t *testing.T) {
	t.Parallel()
	image := plainImage(t)
	h, dir := newHub(t), t.TempDir()
	ref := h.push(image, "a", "1")
	var all sync.WaitGroup
	for range 4 {
		s := storeIn(t, dir, Limits{}) // a lock is of an open file, so these are as processes are
		all.Go(func() {
			if _, err := s.Pull(t.Context(), ref, anonymous()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := h.asked(image.order[0]); n != 1 {
		t.Errorf("the layer was asked for %d times", n)
	}
}

func TestPullPlatform(t *testing.T) {
	t.Parallel()
	image, arm := plainImage(t), imageOf(t, nil, func(c *v1.ConfigFile, _ *v1.Manifest) { c.Architecture = "arm64" })
	h := newHub(t)
	s := storeIn(t, t.TempDir(), Limits{})
	index := func(all ...v1.Descriptor) string {
		b := &built{blobs: map[string][]byte{}}
		for _, i := range []*built{image, arm} {
			for d, content := range i.blobs {
				b.blobs[d] = content
			}
		}
		b.manifest = b.addJSON(t, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: all}).Digest
		return h.push(b, "multi", b.manifest.Hex[:8])
	}
	entry := func(b *built, os, arch string) v1.Descriptor {
		return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: b.manifest, Size: 1, Platform: &v1.Platform{OS: os, Architecture: arch}}
	}
	got, err := s.Pull(t.Context(), index(entry(arm, "linux", "arm64"), entry(image, "linux", "amd64")), anonymous())
	must(t, err)
	if got.Manifest != image.manifest.String() {
		t.Errorf("it took %s", got.Manifest)
	}
	_, err = s.Pull(t.Context(), index(entry(arm, "linux", "arm64"), entry(arm, "windows", "amd64")), anonymous())
	wantKind(t, err, job.KindInvalid, "linux/arm64, windows/amd64", "linux/amd64")
	_, err = s.Pull(t.Context(), index(), anonymous())
	wantKind(t, err, job.KindInvalid, "for nothing")
	_, err = s.Pull(t.Context(), h.push(arm, "arm", "1"), anonymous())
	wantKind(t, err, job.KindInvalid, "arm:1", "linux/arm64")
	// An index that leads to itself, as far as its digest lets it.
	self := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
	_, err = s.Pull(t.Context(), index(v1.Descriptor{Digest: self, Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}), anonymous())
	wantKind(t, err, job.KindNotFound)
}

// A download that broke off goes on where it was, in the same pull or a later
// one, also where the registry knows no ranges.
func TestPullResumes(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 64<<10)
	plain := layerOf(t, item{name: "big", body: body})
	// Uncompressed, so that there is something to cut.
	image := imageOf(t, [][]byte{plain}, func(_ *v1.ConfigFile, m *v1.Manifest) {
		m.Layers[0].Digest, m.Layers[0].Size, m.Layers[0].MediaType = digestOf(plain), int64(len(plain)), types.OCIUncompressedLayer
	})
	image.add(plain)
	layer := digestOf(plain)
	// cut answers the next n requests for the layer with a piece each.
	cut := func(h *hub, n int, ranges bool) {
		h.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, layer.String()) || n == 0 {
				return false
			}
			n--
			if !ranges {
				r.Header.Del("Range")
			}
			http.ServeContent(&cutter{w, 300_000}, r, "", time.Time{}, bytes.NewReader(plain))
			return true
		}
	}
	for name, c := range map[string]struct {
		cuts   int
		ranges bool
		asked  int
	}{"with ranges": {2, true, 3}, "without ranges": {1, false, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			ref := h.push(image, "a", "1")
			cut(h, c.cuts, c.ranges)
			got, err := storeIn(t, t.TempDir(), Limits{}).Pull(t.Context(), ref, anonymous())
			must(t, err)
			if contents(t, got.Environment.Image)["/big"] != "f 644 "+body {
				t.Error("the content is another")
			}
			if n := h.asked(layer); n != c.asked {
				t.Errorf("asked for it %d times: %q", n, h.requests)
			}
		})
	}
	t.Run("in a later pull", func(t *testing.T) {
		t.Parallel()
		h, dir := newHub(t), t.TempDir()
		ref := h.push(image, "a", "1")
		h.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, layer.String()) {
				if r.Header.Get("Range") != "" {
					w.WriteHeader(http.StatusForbidden) // nothing more today
					return true
				}
				http.ServeContent(&cutter{w, 300_000}, r, "", time.Time{}, bytes.NewReader(plain))
				return true
			}
			return false
		}
		s := storeIn(t, dir, Limits{})
		_, err := s.Pull(t.Context(), ref, anonymous())
		wantKind(t, err, job.KindInvalid, "403")
		if left := leftovers(t, s); len(left) != 1 || len(s.List()) > 0 {
			t.Fatalf("it left %v", left)
		}
		h.before = nil
		_, err = storeIn(t, dir, Limits{}).Pull(t.Context(), ref, anonymous())
		must(t, err)
		if last := h.requests[len(h.requests)-1]; !strings.Contains(last, "bytes=") || strings.Contains(last, "bytes=0-") {
			t.Errorf("the last request was %q", last)
		}
	})
	t.Run("on what a crash has damaged", func(t *testing.T) {
		t.Parallel()
		h := newHub(t)
		ref := h.push(image, "a", "1")
		s := storeIn(t, t.TempDir(), Limits{})
		must(t, os.WriteFile(s.partial(layer), bytes.Repeat([]byte{7}, 5000), 0o600))
		_, err := s.Pull(t.Context(), ref, anonymous())
		must(t, err)
	})
}

func TestPullFails(t *testing.T) {
	t.Parallel()
	status := func(code int, path string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, path) {
				w.WriteHeader(code)
				return true
			}
			return false
		}
	}
	small := layerOf(t, item{name: "a", body: "1"})
	for name, c := range map[string]struct {
		image  *built
		change func(b *built)
		before func(http.ResponseWriter, *http.Request) bool
		limits Limits
		kind   job.Kind
		says   string
	}{
		"no such image":     {before: status(404, "/manifests/"), kind: job.KindNotFound, says: "there is no image"},
		"it needs a login":  {before: status(401, "/manifests/"), kind: job.KindInvalid, says: "--username"},
		"it may not":        {before: status(403, "/manifests/"), kind: job.KindInvalid, says: "does not give out"},
		"too many requests": {before: status(429, "/manifests/"), kind: job.KindUnavailable, says: "too many requests"},
		"a fault":           {before: status(500, "/manifests/"), kind: job.KindUnavailable, says: "has a fault"},
		"a strange answer":  {before: status(418, "/manifests/"), kind: job.KindUnavailable, says: "answers 418"},
		"a missing layer":   {before: status(404, "/blobs/"), kind: job.KindNotFound, says: "there is no image"},
		"a registry that is none": {before: func(w http.ResponseWriter, r *http.Request) bool {
			_, err := w.Write([]byte("<html>"))
			return err == nil
		}, kind: job.KindInvalid, says: "is not JSON"},
		"a corrupt layer": {change: func(b *built) { b.blobs[b.order[0].String()][20] ^= 1 }, kind: job.KindInvalid, says: "not what was downloaded"},
		"a layer that is cut off": {change: func(b *built) {
			d := b.order[0].String()
			b.blobs[d] = b.blobs[d][:20]
		}, kind: job.KindUnavailable, says: "has less of"},
		"a layer that goes on": {change: func(b *built) {
			d := b.order[0].String()
			b.blobs[d] = append(bytes.Clone(b.blobs[d]), make([]byte, 1000)...)
		}, kind: job.KindInvalid, says: "has more than"},
		"another diff id": {image: imageOf(t, [][]byte{small}, func(c *v1.ConfigFile, _ *v1.Manifest) {
			c.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
		}), kind: job.KindInvalid, says: "layer 1 of 1"},
		"more diff ids than layers": {image: imageOf(t, [][]byte{small}, func(c *v1.ConfigFile, _ *v1.Manifest) {
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0])
		}), kind: job.KindInvalid, says: "has 1 layers"},
		"a digest that is a path": {image: imageOf(t, [][]byte{small}, func(_ *v1.ConfigFile, m *v1.Manifest) {
			m.Layers[0].Digest = v1.Hash{Algorithm: "sha256", Hex: "../../../../etc/passwd"}
		}), kind: job.KindInvalid, says: "cannot be read"},
		"a layer for another registry": {image: imageOf(t, [][]byte{small}, func(_ *v1.ConfigFile, m *v1.Manifest) {
			m.Layers[0].MediaType = types.DockerForeignLayer
		}), kind: job.KindInvalid, says: "cannot be used"},
		"no image": {image: imageOf(t, nil, func(_ *v1.ConfigFile, m *v1.Manifest) {
			m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json"
		}), kind: job.KindInvalid, says: "not a container image"},
		"a negative size": {image: imageOf(t, [][]byte{small}, func(_ *v1.ConfigFile, m *v1.Manifest) { m.Layers[0].Size = -1 }), kind: job.KindInvalid, says: "more than"},
		"too much":        {limits: Limits{Download: 10}, kind: job.KindInvalid, says: "more than 10 bytes"},
		"a huge size": {image: imageOf(t, [][]byte{small, small}, func(_ *v1.ConfigFile, m *v1.Manifest) {
			m.Layers[0].Size, m.Layers[1].Size = 1<<62, 1<<62
		}), kind: job.KindInvalid, says: "more than"},
		"too many layers":    {image: imageOf(t, [][]byte{small, small}, nil), limits: Limits{Layers: 1}, kind: job.KindInvalid, says: "2 layers"},
		"a manifest too big": {limits: Limits{Manifest: 10}, kind: job.KindInvalid, says: "more than 10 bytes"},
		"a hostile layer":    {image: imageOf(t, [][]byte{layerOf(t, item{name: "../../etc/cron.d/x"})}, nil), kind: job.KindInvalid, says: "leads out"},
		"variables too long": {image: imageOf(t, nil, func(c *v1.ConfigFile, _ *v1.Manifest) {
			for range 10 {
				c.Config.Env = append(c.Config.Env, "A="+strings.Repeat("x", 30_000))
			}
		}), kind: job.KindInvalid, says: "the configuration of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, dir := newHub(t), t.TempDir()
			good := storeIn(t, dir, Limits{})
			ref := h.push(imageOf(t, [][]byte{layerOf(t, item{name: "before"})}, nil), "a", "1")
			before, err := good.Pull(t.Context(), ref, anonymous())
			must(t, err)

			image := c.image
			if image == nil {
				image = plainImage(t)
			}
			h.push(image, "a", "1")
			h.mu.Lock()
			h.before = c.before
			if c.change != nil {
				b := &built{blobs: map[string][]byte{}, order: image.order}
				for d, content := range image.blobs {
					b.blobs[d] = bytes.Clone(content)
				}
				c.change(b)
				h.blobs = b.blobs
			}
			h.mu.Unlock()
			s := storeIn(t, dir, c.limits)
			_, err = s.Pull(t.Context(), ref, anonymous())
			wantKind(t, err, c.kind, c.says)

			// What was there is there, and nothing is half done.
			env, err := s.Find(ref)
			must(t, err)
			if env.Digest != before.Digest || contents(t, env.Image)["/before"] == "" {
				t.Errorf("the previous version is another: %v", env)
			}
			images, err := filepath.Glob(filepath.Join(dir, "environments", "*.erofs"))
			must(t, err)
			if len(images) != 1 {
				t.Errorf("images: %v", images)
			}
			for _, name := range leftovers(t, s) {
				if strings.HasSuffix(name, ".tmp") {
					t.Errorf("left behind: %s", name)
				}
			}
		})
	}
}
