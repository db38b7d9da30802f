package oci

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/job"
)

// laid is an image as an OCI layout.
func laid(t testing.TB, b *built, name string) []item {
	t.Helper()
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: b.manifest, Size: int64(len(b.blobs[b.manifest.String()]))}
	if name != "" {
		d.Annotations = map[string]string{"io.containerd.image.name": name}
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}})
	must(t, err)
	items := []item{{name: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}`}, {name: "index.json", body: string(index)}}
	for _, digest := range slices.Sorted(maps.Keys(b.blobs)) {
		items = append(items, item{name: "blobs/sha256/" + digest[len("sha256:"):], body: string(b.blobs[digest])})
	}
	return items
}

// saved is an image as `docker save` wrote it for years.
func saved(t testing.TB, tags []string, layers ...[]byte) []item {
	t.Helper()
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64"}
	var items []item
	names := []string{}
	for i, l := range layers {
		name := string(rune('a'+i)) + "/layer.tar"
		names = append(names, name)
		items = append(items, item{name: name, body: string(l)})
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digestOf(l))
	}
	content, err := json.Marshal(config)
	must(t, err)
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": tags, "Layers": names}})
	must(t, err)
	return append(items, item{name: "config.json", body: string(content)}, item{name: "manifest.json", body: string(manifest)})
}

func archiveFile(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	must(t, os.WriteFile(name, content, 0o600))
	return name
}

func TestLoad(t *testing.T) {
	t.Parallel()
	one, two := layerOf(t, item{name: "a", body: "1"}), layerOf(t, item{name: "b", body: "2"}, item{name: ".wh.a"})
	twice := saved(t, []string{"x:1"}, one, one)
	twice[1] = link(twice[1].name, "../a/layer.tar")
	for name, c := range map[string]struct {
		content []byte
		name    string
		want    []string // references
		file    string   // that the image has
	}{
		"docker save":               {layerOf(t, saved(t, []string{"tools:7", "team/tools:8"}, one, two)...), "", []string{"docker.io/library/tools:7", "docker.io/team/tools:8"}, "/b"},
		"docker save, compressed":   {zipped(t, layerOf(t, saved(t, []string{"tools:7"}, one)...)), "", []string{"docker.io/library/tools:7"}, "/a"},
		"docker save, no name":      {layerOf(t, saved(t, nil, one)...), "mine", []string{"docker.io/library/mine:latest"}, "/a"},
		"docker save, another name": {layerOf(t, saved(t, []string{"tools:7"}, one)...), "mine:2", []string{"docker.io/library/mine:2"}, "/a"},
		"docker save, linked layer": {layerOf(t, twice...), "", []string{"docker.io/library/x:1"}, "/a"},
		"layers compressed":         {layerOf(t, laid(t, plainImage(t), "ghcr.io/a/b:1")...), "", []string{"ghcr.io/a/b:1"}, "/bin/sh"},
		"a layout, only a tag":      {layerOf(t, laid(t, plainImage(t), "latest")...), "a/b", []string{"docker.io/a/b:latest"}, "/bin/sh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storeIn(t, t.TempDir(), Limits{})
			images, err := s.Load(t.Context(), archiveFile(t, c.content), c.name, Options{})
			must(t, err)
			var got []string
			for _, i := range images {
				got = append(got, i.Reference)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("loaded %v, want %v", got, c.want)
			}
			if contents(t, images[0].Environment.Image)[c.file] == "" {
				t.Errorf("there is no %s", c.file)
			}
			if left := leftovers(t, s); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	one := layerOf(t, item{name: "a", body: "1"})
	without := func(items []item, name string) []byte {
		return layerOf(t, slices.DeleteFunc(items, func(i item) bool { return i.name == name })...)
	}
	replaced := func(items []item, name, body string) []byte {
		for i := range items {
			if items[i].name == name {
				items[i].body = body
			}
		}
		return layerOf(t, items...)
	}
	layout := laid(t, plainImage(t), "a:1")
	damaged := slices.Clone(layout)
	for i := range damaged {
		if b := []byte(damaged[i].body); bytes.HasPrefix(b, []byte("\x1f\x8b")) {
			b[20] ^= 1
			damaged[i].body = string(b)
		}
	}
	whole := layerOf(t, saved(t, []string{"a:1"}, one)...)
	for name, c := range map[string]struct {
		content []byte
		name    string
		limits  Limits
		says    string
	}{
		"nothing":              {nil, "", Limits{}, "too short"},
		"no archive":           {bytes.Repeat([]byte("x"), 4096), "", Limits{}, "not an archive"},
		"another archive":      {one, "", Limits{}, "neither manifest.json"},
		"cut off":              {whole[:1000], "", Limits{}, "cut off"},
		"damaged gzip":         {zipped(t, whole)[:100], "", Limits{}, "damaged"},
		"a bomb":               {zipped(t, layerOf(t, item{name: "a", body: string(make([]byte, 1<<20))})), "", Limits{Download: 1 << 16}, "more than 65536"},
		"no name":              {layerOf(t, saved(t, nil, one)...), "", Limits{}, "--name"},
		"a wrong name":         {whole, "NO", Limits{}, "names no image"},
		"no configuration":     {without(saved(t, []string{"a:1"}, one), "config.json"), "", Limits{}, "has no"},
		"no layer":             {without(saved(t, []string{"a:1"}, one), "a/layer.tar"), "", Limits{}, "has no"},
		"another layer":        {replaced(saved(t, []string{"a:1"}, one), "a/layer.tar", string(layerOf(t, item{name: "b"}))), "", Limits{}, "not what the configuration says"},
		"a manifest of no use": {replaced(saved(t, []string{"a:1"}, one), "manifest.json", "{}"), "", Limits{}, "cannot be read"},
		"an empty manifest":    {replaced(saved(t, []string{"a:1"}, one), "manifest.json", "[]"), "", Limits{}, "has no image"},
		"a path to the host":   {replaced(saved(t, []string{"a:1"}, one), "manifest.json", `[{"Config":"../../../../etc/hostname","RepoTags":["a:1"],"Layers":[]}]`), "", Limits{}, "has no"},
		"a link to the host":   {layerOf(t, link("manifest.json", "/etc/passwd")), "", Limits{}, "neither manifest.json"},
		"a damaged blob":       {layerOf(t, damaged...), "", Limits{}, "not what was downloaded"},
		"a blob that is gone":  {layerOf(t, layout[:3]...), "", Limits{}, "has no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storeIn(t, t.TempDir(), c.limits)
			_, err := s.Load(t.Context(), archiveFile(t, c.content), c.name, Options{})
			wantKind(t, err, job.KindInvalid, c.says)
			if images := s.List(); len(images) > 0 {
				t.Errorf("it recorded %v", images[0])
			}
		})
	}
	s := storeIn(t, t.TempDir(), Limits{})
	_, err := s.Load(t.Context(), filepath.Join(t.TempDir(), "missing"), "", Options{})
	wantKind(t, err, job.KindNotFound, "docker save")
	_, err = s.Load(t.Context(), t.TempDir(), "", Options{})
	wantKind(t, err, job.KindInvalid, "not a regular file")
}
