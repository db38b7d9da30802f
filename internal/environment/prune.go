package environment

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// StoredLayer is a layer of the cache.
type StoredLayer struct {
	Layer
	Made time.Time // or packed again
}

// Layers lists the layers in the cache directory dir.
func Layers(dir string) ([]StoredLayer, error) {
	c, err := openCache(dir, layerEntry)
	if err != nil {
		return nil, err
	}
	var all []StoredLayer
	sidecars, _ := filepath.Glob(filepath.Join(c.dir, "*.json"))
	for _, name := range sidecars {
		image := strings.TrimSuffix(name, ".json") + ".erofs"
		s, err := readSidecar(image)
		if err != nil || s.Entry != layerEntry {
			continue
		}
		if st, err := os.Stat(image); err == nil {
			all = append(all, StoredLayer{Layer{strings.TrimSuffix(filepath.Base(name), ".json"), image, s.Size}, st.ModTime()})
		}
	}
	return all, nil
}

// RemoveLayer removes a layer from the cache directory dir and reports whether it
// did: one that somebody holds stays, and one that was made after then.
func RemoveLayer(ctx context.Context, dir, digest string, then time.Time) (bool, error) {
	c, err := openCache(dir, layerEntry)
	if err != nil || !isDigest(digest) {
		return false, err
	}
	release, err := c.lock(ctx) // whoever makes the same one now is done first
	if err != nil {
		return false, err
	}
	defer release()
	image := c.image(digest)
	s, err := readSidecar(image)
	if err != nil || s.Entry != layerEntry {
		return false, nil //nolint:nilerr // it is gone, or none
	}
	st, err := os.Stat(image)
	if errors.Is(err, fs.ErrNotExist) {
		os.Remove(sidecarPath(image)) // of a build that died
		return true, nil
	}
	return err == nil && !st.ModTime().After(then) && removeUnheld(image), nil
}

// Pins are the environments in the cache directory dir that stay, by digest, and
// since when (see Host.Pin).
func Pins(dir string) map[string]time.Time {
	pins := map[string]time.Time{}
	names, _ := filepath.Glob(filepath.Join(dir, "*.pin"))
	for _, name := range names {
		if st, err := os.Stat(name); err == nil {
			pins[strings.TrimSuffix(filepath.Base(name), ".pin")] = st.ModTime()
		}
	}
	return pins
}

// Unpin takes back what Pin has said. The image goes when newer ones take its
// place, or with Prune and PruneTrees.
func (h *Host) Unpin(ctx context.Context, digest string) error {
	c, err := openCache(h.Cache, "python")
	if err != nil || !isDigest(digest) {
		return err
	}
	release, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := os.Remove(pinPath(c.image(digest))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c.fail(err)
	}
	return nil
}

// Pinned reports whether an environment stays.
func (h *Host) Pinned(digest string) bool {
	return isDigest(digest) && pinned(filepath.Join(h.Cache, digest+".erofs"))
}

// Prune removes environments of this machine of earlier that nobody holds and that
// are not pinned, as the packing of a newer one does.
func (h *Host) Prune(ctx context.Context) error {
	c, err := openCache(h.Cache, "python")
	if err != nil {
		return err
	}
	release, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if env, _, ok := h.recorded(c); ok {
		c.prune(env.Image)
	}
	return nil
}
