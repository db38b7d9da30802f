package assembly

import (
	"context"
	"errors"
	"io"

	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/recipe"
)

// RecipeOptions are what the making of an image may be told.
type RecipeOptions struct {
	Progress func(environment.Progress)
	// Machine is told about the packing of this machine's environment.
	Machine func(environment.Progress)
	// Log is told what is installed.
	Log io.Writer
	// Executable is the binary that becomes a sandbox; default this one.
	Executable string
}

// BuildRecipe makes the image of a recipe. Sandboxes and this machine's
// environment are there only where the recipe needs them.
func BuildRecipe(ctx context.Context, cfg *config.Config, r *recipe.Recipe, o RecipeOptions) (_ *oci.Image, err error) {
	store, err := OpenImages(cfg)
	if err != nil {
		return nil, err
	}
	var local *Local
	defer func() {
		if local != nil {
			err = errors.Join(err, local.Close())
		}
	}()
	open := func(ctx context.Context) (err error) {
		if local == nil {
			local, err = NewLocal(ctx, cfg, Options{Progress: o.Machine, Executable: o.Executable, ImagesOnly: r.Base != ""})
		}
		return err
	}
	m := &recipe.Maker{
		Store: store, Progress: o.Progress,
		Base: func(ctx context.Context, reference string) (environment.Environment, error) {
			return Image(ctx, cfg, reference, oci.Options{Progress: o.Progress})
		},
		Machine: func(ctx context.Context) (environment.Environment, error) {
			if err := open(ctx); err != nil {
				return environment.Environment{}, err
			}
			return local.images.settled(ctx)
		},
		Install: func(ctx context.Context, base environment.Environment, requirements []string) (env environment.Environment, installed []string, err error) {
			if err := open(ctx); err != nil {
				return env, nil, err
			}
			env, err = local.builder.Python(ctx, build.Request{Base: base, Requirements: requirements, Log: o.Log})
			return env, local.builder.Installed(env), err
		},
	}
	return m.Make(ctx, r)
}
