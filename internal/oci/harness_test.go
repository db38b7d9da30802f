package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	erofs "github.com/erofs/go-erofs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/job"
)

// item is one entry of a layer.
type item struct {
	name string
	kind byte // default: a file, or a directory where the name ends in /
	mode int64
	uid  int
	body string
	link string
}

func (i item) header() *tar.Header {
	h := &tar.Header{
		Name: i.name, Typeflag: i.kind, Mode: i.mode, Uid: i.uid, Gid: i.uid, Linkname: i.link, Size: int64(len(i.body)),
		ModTime: time.Unix(1_700_000_000, 0),
	}
	if h.Typeflag == 0 {
		h.Typeflag = tar.TypeReg
		if strings.HasSuffix(i.name, "/") {
			h.Typeflag = tar.TypeDir
		}
	}
	if h.Mode == 0 {
		h.Mode = 0o644
		if h.Typeflag == tar.TypeDir {
			h.Mode = 0o755
		}
	}
	return h
}

func link(name, to string) item { return item{name: name, kind: tar.TypeSymlink, link: to} }
func hard(name, to string) item { return item{name: name, kind: tar.TypeLink, link: to} }

// layerOf makes the plain tar of a layer.
func layerOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		must(t, w.WriteHeader(i.header()))
		_, err := io.WriteString(w, i.body)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

// built is an image: its blobs by digest.
type built struct {
	manifest v1.Hash
	blobs    map[string][]byte
	order    []v1.Hash // of the layers
}

func (b *built) add(content []byte) v1.Descriptor {
	d := digestOf(content)
	b.blobs[d.String()] = content
	return v1.Descriptor{Digest: d, Size: int64(len(content))}
}

func (b *built) addJSON(t testing.TB, v any) v1.Descriptor {
	t.Helper()
	content, err := json.Marshal(v)
	must(t, err)
	return b.add(content)
}

// imageOf makes an image of plain layers, compressed. change may alter what it
// says.
func imageOf(t testing.TB, layers [][]byte, change func(*v1.ConfigFile, *v1.Manifest)) *built {
	t.Helper()
	b := &built{blobs: map[string][]byte{}}
	config := &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	config.Config.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	m := &v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for _, l := range layers {
		d := b.add(zipped(t, l))
		d.MediaType = types.OCILayer
		m.Layers = append(m.Layers, d)
		b.order = append(b.order, d.Digest)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digestOf(l))
	}
	if change != nil {
		change(config, m)
	}
	d := b.addJSON(t, config)
	if d.MediaType = m.Config.MediaType; d.MediaType == "" {
		d.MediaType = types.OCIConfigJSON
	}
	m.Config = d
	b.manifest = b.addJSON(t, m).Digest
	return b
}

// plainImage is a small one.
func plainImage(t testing.TB) *built {
	return imageOf(t, [][]byte{layerOf(t, item{name: "bin/sh", mode: 0o755, body: "sh"}, item{name: "etc/motd", body: "hello"})}, nil)
}

// hub is a registry in this process.
type hub struct {
	*httptest.Server
	mu       sync.Mutex
	tags     map[string]v1.Hash // by "repository:tag"
	blobs    map[string][]byte
	requests []string
	// before, if not nil, may answer a request itself; it reports whether it did.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newHub(t testing.TB) *hub {
	t.Helper()
	h := &hub{tags: map[string]v1.Hash{}, blobs: map[string][]byte{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// push puts an image there and answers its reference.
func (h *hub) push(image *built, repository, tag string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.Copy(h.blobs, image.blobs)
	h.tags[repository+":"+tag] = image.manifest
	return fmt.Sprintf("%s/%s:%s", h.Listener.Addr(), repository, tag)
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := r.URL.Path
	if rng := r.Header.Get("Range"); rng != "" {
		line += " " + rng
	}
	h.requests = append(h.requests, line)
	if h.before != nil && h.before(w, r) || r.URL.Path == "/v2/" {
		return
	}
	dir, id := filepath.Split(strings.TrimPrefix(r.URL.Path, "/v2/"))
	repository, what := filepath.Split(filepath.Clean(dir))
	if d, ok := h.tags[strings.TrimSuffix(repository, "/")+":"+id]; ok && what == "manifests" {
		id = d.String()
	}
	content, ok := h.blobs[id]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"UNKNOWN","message":"never heard of it"}]}`)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// asked counts requests for a digest.
func (h *hub) asked(d v1.Hash) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range h.requests {
		if strings.Contains(line, d.String()) {
			n++
		}
	}
	return n
}

// storeIn is a store whose tries do not wait.
func storeIn(t testing.TB, dir string, l Limits) *Store {
	t.Helper()
	s, err := Open(filepath.Join(dir, "images"), filepath.Join(dir, "environments"), l)
	must(t, err)
	s.pause = func(ctx context.Context, d time.Duration) error { return ctx.Err() }
	return s
}

// nobody has no credentials.
type nobody struct{}

func (nobody) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

func anonymous() Options { return Options{Keychain: nobody{}} }

// contents reads an EROFS image back: "d 755", "f 644 text" or "l target".
func contents(t testing.TB, image string) map[string]string {
	t.Helper()
	f, err := os.Open(image)
	must(t, err)
	defer f.Close()
	fsys, err := erofs.Open(f)
	must(t, err)
	all := map[string]string{}
	must(t, fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch d.Type() {
		case fs.ModeDir:
			all["/"+name] = fmt.Sprintf("d %o", info.Mode().Perm())
		case fs.ModeSymlink:
			target, err := fs.ReadLink(fsys, name)
			if err != nil {
				return err
			}
			all["/"+name] = "l " + target
		default:
			content, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			all["/"+name] = fmt.Sprintf("f %o %s", uint32(info.Sys().(*erofs.Stat).Mode.Perm()), content)
			if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
				all["/"+name] += " PRIVILEGED"
			}
		}
		return nil
	}))
	return all
}

// wantKind expects an error of a kind that says some things.
func wantKind(t testing.TB, err error, kind job.Kind, says ...string) {
	t.Helper()
	if err == nil || job.KindOf(err) != kind {
		t.Fatalf("error %v, want one of kind %s", err, kind)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

// leftovers are the names in the store's directory for unfinished files.
func leftovers(t testing.TB, s *Store) []string {
	t.Helper()
	all, err := os.ReadDir(filepath.Join(s.dir, "partial"))
	must(t, err)
	names := []string{}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return slices.Sorted(slices.Values(names))
}

func parsed(t testing.TB, ref string) name.Reference {
	t.Helper()
	r, err := parseReference(ref)
	must(t, err)
	return r
}

// cutter is an answer that breaks off after some bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.left == 0 {
		panic(http.ErrAbortHandler)
	}
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		c.ResponseWriter.(http.Flusher).Flush()
	}
	if err == nil && n < len(p) {
		panic(http.ErrAbortHandler)
	}
	return n, err
}
