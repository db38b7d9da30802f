package assembly

import (
	"context"
	"path/filepath"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/sandbox"
)

// OpenImages opens the store of container images in the data directory.
func OpenImages(cfg *config.Config) (*oci.Store, error) {
	return oci.Open(filepath.Join(cfg.DataDir, "cache", "images"), environmentCache(cfg), oci.Limits{})
}

// OpenOtherImages opens those of another data directory, which has to be this
// user's too: its records name files, and what is taken over may stay the same file.
func OpenOtherImages(cfg *config.Config, dataDir string) (*oci.Store, error) {
	if err := sandbox.OwnDirectory(dataDir); err != nil {
		return nil, err
	}
	there := *cfg
	there.DataDir = dataDir
	return OpenImages(&there)
}

// Image is the environment of a container image, for the Environment of an
// attempt. One that is here is taken as it is, without asking the registry; one
// that is not is pulled now. One that was built here is never pulled in place of
// what was built: whoever has its name in a registry is somebody else.
func Image(ctx context.Context, cfg *config.Config, reference string, o oci.Options) (environment.Environment, error) {
	store, err := OpenImages(cfg)
	if err != nil {
		return environment.Environment{}, err
	}
	env, err := store.Find(reference)
	if job.KindOf(err) != job.KindNotFound {
		return env, err
	}
	if known, showErr := store.Show(reference); showErr == nil && known.Built != nil {
		return env, err
	}
	image, err := store.Pull(ctx, reference, o)
	if err != nil {
		return environment.Environment{}, err
	}
	return image.Environment, nil
}

// Image is the environment of a container image that was pulled before: nobody is
// asked. See oci.Store.Find for its errors.
func (l *Local) Image(reference string) (environment.Environment, error) {
	store, err := OpenImages(l.config)
	if err != nil {
		return environment.Environment{}, err
	}
	return store.Find(reference)
}

// again says how an environment is made again that is damaged or gone.
func (l *Local) again(name string) string {
	if store, err := OpenImages(l.config); err == nil {
		if image, err := store.Show(name); err == nil {
			return image.Again()
		}
	}
	return "make it again with `tako env pull " + name + "`"
}
