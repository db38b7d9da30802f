package environment

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/takovm/tako/internal/job"
)

// AdoptTree makes an image of PackTree's that is in the cache directory from one
// of the cache directory to as well. Where both are on one file system it is the
// same file. One that is not there is a job.KindNotFound error.
func AdoptTree(ctx context.Context, from, to, digest string) (Environment, error) {
	if env, ok := FindTree(to, digest); ok {
		return env, nil
	}
	there, ok := FindTree(from, digest)
	if !ok {
		return Environment{}, job.Errorf(job.KindNotFound, "the environment %.12s is not in %s, or is damaged", digest, from)
	}
	release, err := there.Hold() // it is not removed before it is here
	if err != nil {
		return Environment{}, err
	}
	defer release()
	c, err := openCache(to, treeEntry)
	if err != nil {
		return Environment{}, err
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return Environment{}, err
	}
	defer unlock()
	c.sweep()
	// In this order: a sidecar without an image is what a build that died leaves.
	for _, name := range []struct{ from, to string }{
		{sidecarPath(there.Image), sidecarPath(c.image(digest))}, {there.Image, c.image(digest)},
	} {
		if err := c.take(name.from, name.to); err != nil {
			return Environment{}, c.fail(err)
		}
	}
	env, ok := FindTree(to, digest)
	if !ok {
		return Environment{}, job.Errorf(job.KindUnavailable, "the environment %.12s could not be taken over from %s", digest, from)
	}
	return env, nil
}

// take links a file into the cache, in the place of what is there, or copies it
// where no link can be. The caller holds the lock.
func (c *cache) take(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Link(from, to) == nil {
		return c.syncDir()
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	if err := c.room(st.Size()); err != nil {
		return err
	}
	out, err := c.temporary()
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		os.Remove(out.Name())
		return err
	}
	return c.commit(out, to, st.Mode().Perm())
}
