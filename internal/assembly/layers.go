package assembly

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/oci"
)

// Layers are the layers of packages in a data directory, and what they stay for:
// versions of job types, and what job types ask for now.
type Layers struct {
	builder *build.Builder
	images  *oci.Store
	host    *environment.Host
	needs   build.Needs
}

// OpenLayers finds out what layers are needed for, with or without a server. A
// database that cannot be read is an error: it may name some.
func OpenLayers(ctx context.Context, cfg *config.Config) (_ *Layers, err error) {
	var stored jobtype.Stored
	_, statErr := os.Stat(databaseFile(cfg))
	if cfg.DatabaseURL != "" || !errors.Is(statErr, fs.ErrNotExist) {
		db, err := openBeside(ctx, cfg)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		stored = db
	}
	file, _, err := jobtype.ReadFile(filepath.Join(cfg.DataDir, "job_types.json"))
	if err != nil {
		return nil, err
	}
	return layersOf(ctx, cfg, jobtype.New(jobtype.Options{Config: cfg, File: file, Stored: stored}))
}

// layersOf is OpenLayers for types that are known.
func layersOf(ctx context.Context, cfg *config.Config, types *jobtype.Registry) (*Layers, error) {
	from, err := indexes(cfg)
	if err != nil {
		return nil, err
	}
	l := &Layers{host: &environment.Host{Cache: environmentCache(cfg)}}
	if l.images, err = OpenImages(cfg); err != nil {
		return nil, err
	}
	l.builder, err = build.New(build.Options{Dir: packagesDir(cfg), Environments: environmentCache(cfg), Index: from, Base: l.host.Find})
	if err != nil {
		return nil, err
	}
	if l.needs.Environments, err = types.Environments(ctx); err != nil {
		return nil, err
	}
	list, err := types.List(ctx)
	if err != nil {
		return nil, err
	}
	l.needs.Lists = map[string]string{}
	for _, t := range list {
		if base, ok := l.base(t.ImageRef()); ok && len(t.Requirements) > 0 {
			l.needs.Lists[l.builder.List(base, t.Requirements)] = "job type " + t.Name
		}
	}
	return l, nil
}

// base is what an image, or this machine's Python, is now.
func (l *Layers) base(image string) (environment.Environment, bool) {
	if image == "" {
		env, _, ok := l.host.Recall()
		return env, ok
	}
	env, err := l.images.Find(image)
	return env, err == nil
}

// List lists all layers, the last used first.
func (l *Layers) List() ([]build.Layer, error) { return l.builder.Layers(l.needs) }

// Show is the layer of a digest, or of the begin of one; see build.Builder.Layer.
func (l *Layers) Show(digest string) (*build.Layer, error) { return l.builder.Layer(digest, l.needs) }

// Remove removes one; see build.Builder.Remove.
func (l *Layers) Remove(ctx context.Context, digest string) (*build.Layer, error) {
	return l.builder.Remove(ctx, digest, l.needs)
}

// Collect removes layers that nothing needs and that were not used after then, and
// lets go of environments that stayed for a layer or a version that is gone.
func (l *Layers) Collect(ctx context.Context, then time.Time) ([]build.Layer, error) {
	gone, err := l.builder.Collect(ctx, l.needs, then)
	if err != nil {
		return gone, err
	}
	return gone, l.unpin(ctx, then)
}

// unpin takes back the pins of environments that no version and no layer names.
func (l *Layers) unpin(ctx context.Context, then time.Time) error {
	left, err := l.List()
	if err != nil {
		return err
	}
	current, _ := l.base("")
	for digest, since := range environment.Pins(l.host.Cache) {
		_, named := l.needs.Environments[digest]
		if named || digest == current.Digest || since.After(then) || since.After(time.Now().Add(-pinGrace)) ||
			slices.ContainsFunc(left, func(layer build.Layer) bool { return slices.Contains(layer.Bases(), digest) }) {
			continue
		}
		if err := l.host.Unpin(ctx, digest); err != nil {
			return err
		}
	}
	return l.host.Prune(ctx)
}

// pinGrace is how long a pin stays at least: the version that it is for is stored
// after it.
const pinGrace = time.Hour

func packagesDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "cache", "packages") }
