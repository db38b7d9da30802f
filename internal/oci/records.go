package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

// rules is the version of how images are merged. A record of another one is made
// again.
const rules = 1

// maxRecord bounds a record, in bytes.
const maxRecord = 1 << 20

// Image is one image of the store: what a reference meant when it was pulled.
type Image struct {
	Reference   string                  `json:"reference"` // "docker.io/library/python:3.12"
	Manifest    string                  `json:"manifest"`  // "sha256:..."
	Digest      string                  `json:"digest"`    // of the environment
	Size        int64                   `json:"size"`      // of the EROFS file, in bytes
	Download    int64                   `json:"download"`  // of the layers as they came, in bytes
	Created     time.Time               `json:"created"`   // as the image says
	Pulled      time.Time               `json:"pulled"`    // or loaded, or built
	Blobs       []string                `json:"blobs"`     // SHA-256 of all it consists of
	Rules       int                     `json:"rules"`
	Environment environment.Environment `json:"environment"`
	// Built is how the image was made on this machine; nil for one that came from
	// elsewhere, whatever it is called.
	Built *Built `json:"built,omitempty"`
}

func (s *Store) recordPath(reference string) string {
	sum := sha256.Sum256([]byte(reference))
	return filepath.Join(s.dir, "images", hex.EncodeToString(sum[:])+".json")
}

// record writes an image's record, in place of what the reference meant before.
func (s *Store) record(image *Image) error {
	content, err := json.MarshalIndent(image, "", "  ")
	if err != nil {
		return err
	}
	f, err := s.temporary()
	if err != nil {
		return s.fail(err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		os.Remove(f.Name())
		return s.fail(err)
	}
	return s.fail(commit(f, s.recordPath(image.Reference)))
}

// read reads a record; nil if it is none.
func (s *Store) read(path string) *Image {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxRecord))
	image := &Image{}
	if err != nil || json.Unmarshal(content, image) != nil || s.recordPath(image.Reference) != path {
		return nil
	}
	return image
}

// known is the image if its environment is here already, under whatever
// reference it came.
func (s *Store) known(src candidate) *Image {
	for _, image := range s.List() {
		if image.Manifest != src.digest.String() || image.Rules != rules {
			continue
		}
		env, ok := environment.FindTree(s.environments, image.Digest)
		if !ok {
			continue
		}
		image.Environment = env
		image.Reference, image.Environment.Name, image.Pulled = src.shown, src.shown, s.now().UTC()
		image.Blobs, image.Built = blobsOf(src), src.built
		return image
	}
	return nil
}

// List answers all images, by reference.
func (s *Store) List() []*Image {
	var images []*Image
	names, _ := filepath.Glob(filepath.Join(s.dir, "images", "*.json"))
	for _, name := range names {
		if image := s.read(name); image != nil {
			images = append(images, image)
		}
	}
	slices.SortFunc(images, func(a, b *Image) int { return strings.Compare(a.Reference, b.Reference) })
	return images
}

// Show answers the image of a reference. One that was not pulled is a
// job.KindNotFound error.
func (s *Store) Show(reference string) (*Image, error) {
	ref, err := parseReference(reference)
	if err != nil {
		return nil, err
	}
	image := s.read(s.recordPath(Familiar(ref)))
	if image == nil {
		return nil, job.Errorf(job.KindNotFound, "the image %s is not here", Familiar(ref)).
			WithHint("get it with `tako env pull %s`; `tako env list` says what is here", Familiar(ref))
	}
	return image, nil
}

// Find answers the environment of a reference, as it was pulled or built, without
// asking anybody. One that is not here, or whose EROFS file is gone or damaged, is a
// job.KindNotFound error.
func (s *Store) Find(reference string) (environment.Environment, error) {
	image, err := s.Show(reference)
	if err != nil {
		return environment.Environment{}, err
	}
	env, ok := environment.FindTree(s.environments, image.Digest)
	if !ok {
		return environment.Environment{}, image.gone()
	}
	env.Name = image.Reference
	return env, nil
}

// Remove forgets an image and removes what no other one has in common with it.
// Sandboxes that run in it go on. It returns how many bytes that freed.
func (s *Store) Remove(ctx context.Context, reference string) (freed int64, err error) {
	image, err := s.Show(reference)
	if err != nil {
		return 0, err
	}
	release, err := s.lock(ctx, syscall.LOCK_EX)
	if err != nil {
		return 0, err
	}
	defer release()
	if err := os.Remove(s.recordPath(image.Reference)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, s.fail(err)
	}
	return s.sweep(ctx, false)
}

// GC removes what no image needs: blobs, environments, downloads that broke off.
// It waits until nobody pulls. It returns how many bytes that freed.
func (s *Store) GC(ctx context.Context) (freed int64, err error) {
	release, err := s.lock(ctx, syscall.LOCK_EX)
	if err != nil {
		return 0, err
	}
	defer release()
	return s.sweep(ctx, true)
}

// sweep removes what no record names. Downloads that broke off stay unless they
// are asked for. The caller holds the lock.
func (s *Store) sweep(ctx context.Context, partial bool) (freed int64, err error) {
	blobs, environments := map[string]bool{}, map[string]bool{}
	for _, image := range s.List() {
		environments[image.Digest] = true
		for _, d := range image.Blobs {
			blobs[d] = true
		}
	}
	remove := func(path string) {
		if st, err := os.Stat(path); err == nil && os.Remove(path) == nil {
			freed += st.Size()
		}
	}
	stored, _ := filepath.Glob(filepath.Join(s.dir, "blobs", "*"))
	for _, path := range stored {
		if !blobs[filepath.Base(path)] {
			remove(path)
		}
	}
	unfinished, _ := filepath.Glob(filepath.Join(s.dir, "partial", "*"))
	for _, path := range unfinished {
		if partial || strings.HasSuffix(path, ".tmp") {
			remove(path)
		}
	}
	n, err := environment.PruneTrees(ctx, s.environments, environments)
	return freed + n, err
}
