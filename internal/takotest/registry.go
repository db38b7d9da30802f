package takotest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// Registry is a registry of container images on loopback, which tests fill.
type Registry struct {
	*httptest.Server

	mu    sync.Mutex
	tags  map[string]string // digests by "repository:tag"
	files map[string]string // paths of blobs by digest
	small map[string][]byte // blobs by digest
}

// NewRegistry starts an empty registry.
func NewRegistry(tb testing.TB) *Registry {
	tb.Helper()
	r := &Registry{tags: map[string]string{}, files: map[string]string{}, small: map[string][]byte{}}
	r.Server = httptest.NewServer(r)
	tb.Cleanup(r.Close)
	return r
}

// descriptor names a blob in a manifest.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Push makes an image of plain tars, each a layer, and puts it there. It answers
// its references by tag and by digest.
func (r *Registry) Push(tb testing.TB, repository, tag string, layers ...string) (byTag, byDigest string) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	manifest := map[string]any{"schemaVersion": 2, "mediaType": manifestType}
	described, diffs := []descriptor{}, []string{}
	for _, file := range layers {
		f, err := os.Open(file)
		if err != nil {
			tb.Fatal(err)
		}
		h := sha256.New()
		size, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			tb.Fatal(err)
		}
		digest := "sha256:" + hex.EncodeToString(h.Sum(nil))
		r.files[digest] = file
		described, diffs = append(described, descriptor{"application/vnd.oci.image.layer.v1.tar", digest, size}), append(diffs, digest)
	}
	manifest["layers"] = described
	manifest["config"] = r.put(tb, "application/vnd.oci.image.config.v1+json", map[string]any{
		"os": "linux", "architecture": "amd64", "config": map[string]any{"Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, "Cmd": []string{"bash"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	digest := r.put(tb, manifestType, manifest).Digest
	r.tags[repository+":"+tag] = digest
	at := r.Listener.Addr().String() + "/" + repository
	return at + ":" + tag, at + "@" + digest
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

func (r *Registry) put(tb testing.TB, as string, v any) descriptor {
	tb.Helper()
	content, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	r.small[digest] = content
	return descriptor{as, digest, int64(len(content))}
}

// ServeHTTP answers what a pull asks for.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/v2/" {
		return
	}
	dir, id := path.Split(strings.TrimPrefix(req.URL.Path, "/v2/"))
	repository, what := path.Split(path.Clean(dir))
	r.mu.Lock()
	if digest, ok := r.tags[path.Clean(repository)+":"+id]; ok && what == "manifests" {
		id = digest
	}
	content, file := r.small[id], r.files[id]
	r.mu.Unlock()
	switch {
	case content != nil:
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(content))
	case file != "":
		http.ServeFile(w, req, file)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"UNKNOWN","message":"never heard of it"}]}`)
	}
}
