package environment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// keep is how many images of an entry stay when nobody holds older ones.
const keep = 2

// cache is one entry's part of a cache directory: its lock, its index, its
// unfinished files and its images.
type cache struct {
	dir   string // absolute
	entry string // "python", "init"
	// describes is what the image holds that is made now; nil for init's.
	describes *Environment
	// step is told the name of each point at which a crash leaves another
	// state behind. Nil outside tests.
	step func(string)
}

func openCache(dir, entry string) (*cache, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the cache directory %s: %w", dir, err)
	}
	c := &cache{dir: abs, entry: entry}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, c.fail(err)
	}
	return c, nil
}

func (c *cache) at(step string) {
	if c.step != nil {
		c.step(step)
	}
}

func (c *cache) index() string                { return filepath.Join(c.dir, c.entry+".index") }
func (c *cache) image(digest string) string   { return filepath.Join(c.dir, digest+".erofs") }
func sidecarPath(image string) string         { return strings.TrimSuffix(image, ".erofs") + ".json" }
func (c *cache) temporary() (*os.File, error) { return os.CreateTemp(c.dir, c.entry+"-*.tmp") }

// fail makes the one line for a cache that cannot be written.
func (c *cache) fail(err error) error {
	if je := (*job.Error)(nil); errors.As(err, &je) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return job.Errorf(job.KindUnavailable, "the cache directory %s is full: %w", c.dir, err).
			WithHint("free some space there or choose another data directory")
	case errors.Is(err, syscall.EFBIG):
		return job.Errorf(job.KindUnavailable, "this process may not write a file as large as an image in %s: %w", c.dir, err).
			WithHint("raise its file size limit (ulimit -f)")
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		return job.Errorf(job.KindUnavailable, "the cache directory %s cannot be written: %w", c.dir, err).
			WithHint("make it a directory that this user may write or choose another data directory")
	}
	return job.Errorf(job.KindUnavailable, "the cache directory %s: %w", c.dir, err).
		WithHint("look at the disk below it or choose another data directory")
}

// lock waits until this process is the one that builds the entry.
func (c *cache) lock(ctx context.Context) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.dir, c.entry+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, c.fail(err)
	}
	err = lifecycle.Flock(ctx, f, syscall.LOCK_EX)
	switch {
	case err == nil:
		return func() { f.Close() }, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("waiting for another process to build %s: %w", c.entry, err)
	default:
		err = c.fail(err)
	}
	f.Close()
	return nil, err
}

// sweep removes what builders of this entry left behind when they died. The
// caller holds the lock, so none of them lives.
func (c *cache) sweep() {
	left, _ := filepath.Glob(filepath.Join(c.dir, c.entry+"-*.tmp"))
	for _, name := range left {
		os.Remove(name) // it costs space only
	}
}

// commit gives a temporary file its name, durably. It closes f in any case and
// removes it on failure.
func (c *cache) commit(f *os.File, name string, mode os.FileMode) (err error) {
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return c.syncDir()
}

func (c *cache) syncDir() error {
	d, err := os.Open(c.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// writeFile commits a small file.
func (c *cache) writeFile(name string, content []byte) error {
	f, err := c.temporary()
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	return c.commit(f, name, 0o600)
}

// room fails if the disk has not n bytes left: running into the end of it
// would stop everything else that writes there.
func (c *cache) room(n int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(c.dir, &st); err != nil {
		return nil // unknown: the write will tell
	}
	if free := int64(st.Bavail) * st.Bsize; free < n {
		return job.Errorf(job.KindUnavailable, "the cache directory %s is full: an image of %d MiB needs to be written and %d MiB are free: %w",
			c.dir, n>>20, free>>20, syscall.ENOSPC).WithHint("free some space there or choose another data directory")
	}
	return nil
}

// prune removes images of this entry but the newest, current among them, and
// those that are held. The caller holds the lock.
func (c *cache) prune(current string) {
	type image struct {
		path string
		used time.Time
	}
	var images []image
	sidecars, _ := filepath.Glob(filepath.Join(c.dir, "*.json"))
	for _, name := range sidecars {
		s, err := readSidecar(strings.TrimSuffix(name, ".json") + ".erofs")
		if err != nil || s.Entry != c.entry {
			continue
		}
		path := strings.TrimSuffix(name, ".json") + ".erofs"
		switch st, err := os.Stat(path); {
		case errors.Is(err, fs.ErrNotExist):
			os.Remove(name) // of a build that died
		case err == nil && path != current && !pinned(path):
			images = append(images, image{path, st.ModTime()})
		}
	}
	slices.SortFunc(images, func(a, b image) int { return b.used.Compare(a.used) })
	for _, old := range images[min(keep-1, len(images)):] {
		removeUnheld(old.path)
	}
}

// removeUnheld removes an image that nobody holds, and reports whether it has.
// The lock is kept until the file is gone: a holder who comes later finds it
// missing.
func removeUnheld(image string) bool {
	f, err := os.Open(image)
	if err != nil {
		return false
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return false
	}
	removeImage(image)
	return true
}

// pinned reports that an image stays whatever comes after it.
func pinned(image string) bool {
	_, err := os.Stat(pinPath(image))
	return err == nil
}

func pinPath(image string) string { return strings.TrimSuffix(image, ".erofs") + ".pin" }

func removeImage(image string) {
	os.Remove(image)
	os.Remove(sidecarPath(image))
}
