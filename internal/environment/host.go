package environment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/takovm/tako/internal/job"
)

// attempts bounds how often a scan starts again because files changed under it.
const attempts = 3

// Host makes the environment of the machine that tako runs on.
type Host struct {
	// Root is the directory whose tree is packed. Default "/".
	Root string
	// Cache is the directory for images, made with mode 0700 if it is missing.
	// Any number of processes may share it.
	Cache string

	now  func() time.Time // default time.Now; tests move it
	step func(string)     // see cache.step
}

// Ensure returns the environment of this host, building its image if there is
// none or if anything that went in has changed since. One process builds at a
// time; others wait, until ctx ends, and use what it made. progress may be nil.
//
// A host without Python, and a cache that is full or cannot be written, are
// job.KindUnavailable errors that name the mend. A corrupt image is told in a
// note and built again.
func (h *Host) Ensure(ctx context.Context, progress func(Progress)) (Environment, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	c, err := openCache(h.Cache, "python")
	if err != nil {
		return Environment{}, err
	}
	c.step = h.step
	if env, ok := h.current(c); ok {
		return env, nil
	}
	release, err := c.lock(ctx)
	if err != nil {
		return Environment{}, err
	}
	defer release()
	// Another process may have built while this one waited.
	if env, ok := h.current(c); ok {
		return env, nil
	}
	c.sweep()
	for n := 1; ; n++ {
		env, err := h.build(ctx, c, progress)
		switch {
		case err == nil:
			return env, nil
		case !errors.Is(err, errChanged):
			return Environment{}, failed(ctx, err)
		case n == attempts:
			return Environment{}, job.Errorf(job.KindUnavailable, "this machine's Python keeps changing: %w", err).
				WithHint("try again when the installation under way is done")
		}
	}
}

// failed leaves errors that have a kind, and those of ctx, as they are. The
// rest comes from reading the host.
func failed(ctx context.Context, err error) error {
	var je *job.Error
	if errors.As(err, &je) || ctx.Err() != nil {
		return err
	}
	return job.Errorf(job.KindUnavailable, "packing this machine's Python: %w", err)
}

func (h *Host) root() string {
	if h.Root == "" {
		return "/"
	}
	return h.Root
}

// current returns the environment that the index describes if it is still
// that of the host and its image is sound.
func (h *Host) current(c *cache) (Environment, bool) {
	env, fresh, ok := h.recorded(c)
	return env, ok && fresh()
}

// Recall returns the environment that was used last, if its image is there and
// sound, and a function that says whether it is still that of the host. The
// function takes as long as Ensure does when nothing has changed; a caller can
// prepare meanwhile, and must not run anything before it has said yes.
func (h *Host) Recall() (env Environment, fresh func() bool, ok bool) {
	c, err := openCache(h.Cache, "python")
	if err != nil {
		return Environment{}, nil, false
	}
	return h.recorded(c)
}

// Find returns an environment of earlier, whose image is still in the cache and
// sound. Images stay until newer ones take their places.
func (h *Host) Find(digest string) (env Environment, ok bool) {
	c, err := openCache(h.Cache, "python")
	if err != nil || !isDigest(digest) {
		return Environment{}, false
	}
	image := c.image(digest)
	s, err := checkEnds(image)
	if err != nil || s.Environment == nil || s.Environment.Digest != digest {
		return Environment{}, false
	}
	env = *s.Environment
	env.Image, env.Size = image, s.Size
	return env, true
}

// Pin keeps the environment of that digest until it is taken back: a version of
// a job type names it. One that is not in the cache is job.KindUnavailable.
func (h *Host) Pin(ctx context.Context, digest string) error {
	c, err := openCache(h.Cache, "python")
	if err != nil {
		return err
	}
	release, err := c.lock(ctx) // so that it is not removed meanwhile
	if err != nil {
		return err
	}
	defer release()
	if _, ok := h.Find(digest); !ok {
		return job.Errorf(job.KindUnavailable, "environment %.12s is not here any more", digest).WithHint("build the job type again")
	}
	return c.writeFile(pinPath(c.image(digest)), nil)
}

// isDigest keeps what is no digest from becoming part of a path.
func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

func (h *Host) recorded(c *cache) (env Environment, fresh func() bool, ok bool) {
	b, err := os.ReadFile(c.index())
	if err != nil {
		return Environment{}, nil, false
	}
	idx, err := decodeIndex(b)
	if err != nil {
		return Environment{}, nil, false
	}
	env = idx.Environment
	env.Image = c.image(env.Digest)
	if !c.sound(env.Image, nil) {
		return Environment{}, nil, false
	}
	return env, func() bool {
		fresh, err := idx.fresh(h.root())
		return err == nil && fresh
	}, true
}

// sound checks an image cheaply. What is wrong with one that is there is told
// in a note.
func (c *cache) sound(image string, progress func(Progress)) bool {
	_, err := checkEnds(image)
	if err != nil && !errors.Is(err, os.ErrNotExist) && progress != nil {
		progress(Progress{Phase: PhaseVerify, Note: fmt.Sprintf("the image %s is made again: %v", image, err)})
	}
	return err == nil
}

// build scans the host and makes the image, or finds one with the same
// content. The caller holds the lock.
func (h *Host) build(ctx context.Context, c *cache, progress func(Progress)) (Environment, error) {
	now := time.Now
	if h.now != nil {
		now = h.now
	}
	since := now().UnixNano()
	host := newLook(h.root())
	p := newPlan(ctx, host, func(s string) { progress(Progress{Phase: PhaseScan, Note: s}) })
	version, languages, err := p.takeAll()
	if err != nil {
		return Environment{}, err
	}
	m := seal(p.entries, p.skipped, func(e *entry) {
		p.note(fmt.Sprintf("left out the link %s: %s is not packed", e.path, e.target))
	})
	if err := m.hash(metering(ctx, host, PhaseScan, m.bytes(), progress)); err != nil {
		return Environment{}, err
	}
	env := Environment{Name: "python", Version: version, Digest: m.digest(), Languages: languages}
	env.Image = c.image(env.Digest)
	c.describes = &env
	if env.Size, err = c.make(ctx, env.Image, m, host, progress); err != nil {
		return Environment{}, err
	}
	b, err := encodeIndex(indexHead{Rules: rules, Root: h.root(), Environment: env}, host, since)
	if err != nil {
		return Environment{}, err
	}
	if err := c.writeFile(c.index(), b); err != nil {
		return Environment{}, c.fail(err)
	}
	c.at("indexed")
	c.prune(env.Image)
	return env, nil
}

// metering opens entries so that what is read of them counts in phase.
func metering(ctx context.Context, host *look, phase Phase, total int64, progress func(Progress)) func(*entry) (io.ReadCloser, error) {
	m := &meter{ctx: ctx, report: progress, phase: phase, total: total}
	return func(e *entry) (io.ReadCloser, error) {
		r, err := openEntry(host, e)
		if err != nil {
			return nil, err
		}
		return &metered{m, r}, nil
	}
}

// make writes the image of m unless a sound one is there, and returns its size.
func (c *cache) make(ctx context.Context, image string, m *manifest, host *look, progress func(Progress)) (int64, error) {
	if c.sound(image, progress) {
		st, err := os.Stat(image)
		if err != nil {
			return 0, c.fail(err)
		}
		now := time.Now()
		_ = os.Chtimes(image, now, now) // it is the newest again; only pruning asks
		return st.Size(), nil
	}
	if err := c.room(m.onDisk()); err != nil {
		return 0, err
	}
	f, err := c.temporary()
	if err != nil {
		return 0, c.fail(err)
	}
	c.at("created")
	if err := writeImage(ctx, f, m, metering(ctx, host, PhasePack, m.bytes(), progress)); err != nil {
		f.Close()
		os.Remove(f.Name())
		if errors.Is(err, errChanged) {
			return 0, err
		}
		return 0, c.fail(err)
	}
	size, err := c.finish(ctx, f, image, progress)
	if err != nil {
		return 0, c.fail(err)
	}
	return size, nil
}
