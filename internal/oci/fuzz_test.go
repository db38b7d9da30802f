package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
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
	spool := scratch(f)
	f.Fuzz(func(t *testing.T, one, two []byte) { checkMerged(t, spool, limits, one, two) })
}

// FuzzMergeEntries merges layers that are tars, of entries of anybody's making: a
// line each, with the kind, the name and where it leads, an empty line between two
// layers.
func FuzzMergeEntries(f *testing.F) {
	f.Add("5 d/e\n0 d/a\n2 l d\n\n0 l/x\n0 .wh.d\n0 d/.wh..wh..opq\n1 h d/a\n3 dev/x\n6 p\n")
	f.Add("0 ../x\n1 a ../../b\n0 /a/./b\n2 a /etc\n0 a/b\n\n\n0 .wh.a/b\n0 .wh.")
	spool := scratch(f)
	f.Fuzz(func(t *testing.T, script string) {
		var layers [][]byte
		for _, lines := range strings.Split(script, "\n\n") {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for line := range strings.Lines(lines) {
				var i item
				if n, _ := fmt.Sscan(line, &i.name, &i.name, &i.link); n < 2 {
					continue
				}
				i.kind, i.mode = line[0], 0o7755
				if i.kind == tar.TypeReg {
					i.body = "content"
				}
				if h := i.header(); w.WriteHeader(h) == nil {
					_, err := io.WriteString(w, i.body)
					must(t, err)
				}
			}
			must(t, w.Close())
			layers = append(layers, b.Bytes())
		}
		checkMerged(t, spool, Limits{Unpacked: 1 << 16, Entries: 200}, layers...)
	})
}

// checkMerged merges layers and looks whether what comes out can be packed.
func checkMerged(t *testing.T, spool *os.File, limits Limits, layers ...[]byte) {
	must(t, spool.Truncate(0))
	_, err := spool.Seek(0, io.SeekStart)
	must(t, err)
	all, _, err := mergeInto(t, spool, limits, false, layers...)
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
		if fields := strings.Fields(what); what[0] != 'l' && len(fields[1]) > 3 {
			t.Fatalf("%q is %q", name, what)
		}
	}
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
