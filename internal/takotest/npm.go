package takotest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// NPMPackage makes what npm pack makes: a package of files, whose package.json
// is manifest. Names of files are taken as they are, below package/.
func NPMPackage(t testing.TB, manifest map[string]any, files map[string]string) []byte {
	t.Helper()
	all := maps.Clone(files)
	if all == nil {
		all = map[string]string{}
	}
	content, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	all["package.json"] = string(content)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := &tar.Header{Name: "package/" + name, Mode: 0o755, Size: int64(len(all[name])), Typeflag: tar.TypeReg}
		if to, ok := strings.CutPrefix(all[name], "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(all[name])); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []func() error{w.Close, z.Close} {
		if err := c(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// NPMRegistry is a registry of npm packages on loopback.
type NPMRegistry struct {
	*httptest.Server
	// Authorization, if not empty, is the header that it wants.
	Authorization string

	mu    sync.Mutex
	pages map[string]map[string]any // versions, by package
	whole map[string]string         // pages as they are, by package
	files map[string][]byte         // by path
	asked []string                  // paths
}

// NewNPMRegistry starts one, which ends with the test.
func NewNPMRegistry(t testing.TB) *NPMRegistry {
	t.Helper()
	r := &NPMRegistry{pages: map[string]map[string]any{}, whole: map[string]string{}, files: map[string][]byte{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// Publish adds a version of a package. change, if not nil, changes what the
// registry says about it.
func (r *NPMRegistry) Publish(t testing.TB, manifest map[string]any, files map[string]string, change func(version map[string]any)) {
	t.Helper()
	name, version := manifest["name"].(string), manifest["version"].(string)
	content := NPMPackage(t, manifest, files)
	sum := sha512.Sum512(content)
	r.mu.Lock()
	defer r.mu.Unlock()
	at := "/" + name + "/-/" + path.Base(name) + "-" + version + ".tgz"
	r.files[at] = content
	v := maps.Clone(manifest)
	v["dist"] = map[string]any{"tarball": r.URL + at, "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}
	if change != nil {
		change(v)
	}
	if r.pages[name] == nil {
		r.pages[name] = map[string]any{}
	}
	r.pages[name][version] = v
}

// Page has a package's page be what body says.
func (r *NPMRegistry) Page(name, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole[name] = body
}

// Asked answers the paths that were asked for.
func (r *NPMRegistry) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *NPMRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, req.URL.EscapedPath())
	if r.Authorization != "" && req.Header.Get("Authorization") != r.Authorization {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name := strings.TrimPrefix(req.URL.Path, "/")
	switch body, ok := r.whole[name]; {
	case ok:
		_, _ = w.Write([]byte(body)) // who has gone does not need it
	case r.files[req.URL.Path] != nil:
		_, _ = w.Write(r.files[req.URL.Path])
	case r.pages[name] != nil:
		last := slices.Max(slices.Collect(maps.Keys(r.pages[name])))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "dist-tags": map[string]string{"latest": last}, "versions": r.pages[name]})
	default:
		http.NotFound(w, req)
	}
}
