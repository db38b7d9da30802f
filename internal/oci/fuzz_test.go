package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// FuzzMerge merges two layers of anybody's making. Whatever comes out is a tree
// that can be packed, within the limits, and what is refused is refused by name.
func FuzzMerge(f *testing.F) {
	base := layerOf(f, item{name: "d/a", body: "1"}, link("l", "d"), item{name: "d/e/", mode: 0o700})
	f.Add(base, layerOf(f, item{name: ".wh.d"}, item{name: "d/.wh..wh..opq"}, hard("h", "d/a")))
	f.Add(base, layerOf(f, item{name: "l/x"}, item{name: "../x"}))
	f.Add(base, layerOf(f, item{name: "dev/null", kind: tar.TypeChar}, item{name: "p", kind: tar.TypeFifo}))
	f.Add(layerOf(f, item{name: strings.Repeat("a/", 60)}), base[:700])
	limits := Limits{Unpacked: 1 << 16, Entries: 200}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		all, _, err := mergeAll(t, limits, false, one, two)
		if err != nil {
			if job.KindOf(err) != job.KindInvalid {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		if len(all) > limits.Entries {
			t.Fatalf("%d entries", len(all))
		}
		for name, what := range all {
			if !path.IsAbs(name) || path.Clean(name) != name || strings.Contains(name, "\x00") || strings.Contains(name, "/.wh.") {
				t.Fatalf("the path %q", name)
			}
			if dir := path.Dir(name); dir != "/" && !strings.HasPrefix(all[dir], "d ") {
				t.Fatalf("%q is below %q, which is %q", name, dir, all[dir])
			}
			if what[0] != 'l' && len(what) > 4 && strings.Contains(what[:5], "4755") {
				t.Fatalf("%q is %q", name, what)
			}
		}
	})
}

// FuzzManifest reads manifests and configurations of anybody's making.
func FuzzManifest(f *testing.F) {
	b := imageOf(f, [][]byte{layerOf(f, item{name: "a"})}, nil)
	for _, content := range b.blobs {
		if json.Valid(content) {
			f.Add(content)
		}
	}
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:aa","platform":{"os":"linux","architecture":"amd64"}}]}`))
	s := &Store{limits: Limits{}.withDefaults()}
	f.Fuzz(func(t *testing.T, content []byte) {
		m, instead, err := parse("x", content)
		if err == nil && (m == nil) == (instead == nil) {
			t.Fatal("neither a manifest nor an index")
		}
		if instead != nil && checkDigest(instead.Digest) != nil {
			t.Fatalf("the index leads to %q", instead.Digest)
		}
		if m == nil {
			return
		}
		if _, err := s.checkManifest("x", m); err == nil {
			_, _ = checkConfig("x", m, bytes.Clone(content))
		}
	})
}
