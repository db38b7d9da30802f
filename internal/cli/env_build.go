package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/recipe"
)

const envBuildLong = `Build an image of a recipe, a YAML file:

    name: acme/data:1              # what --image and image: of job types call it
    base: debian:12-slim           # an image, pulled if it is not here
    requirements: [pandas==2.2.3]  # packages; npm:lodash is one of npm's
    files:
      - {source: tool.py, path: /opt/tool/tool.py, mode: "0755"}
      - {source: models, path: /opt/models}     # a directory, whole
    env: {MODEL: /opt/models/small}
    workdir: /opt/tool             # where commands start
    user: "1000"

All but a name may be left out; without a base the image is this machine's Python.
Sources are in the recipe's directory, or absolute paths. Packages are installed in
a sandbox, in the base, by its own uv or pip, and are in /opt/tako/packages; a job
type may have more. The same recipe, files and base make the same image. If
anything fails, what the name meant before stays.

An image that was built is never pulled in its place, but by "tako env pull NAME".
Where it is not, its name means a registry's image, docker.io's if it names no
registry; a name such as localhost/data:1 is nobody else's.`

func (a *app) newEnvBuildCommand() *cobra.Command {
	var name, file string
	var quiet bool
	cmd := &cobra.Command{
		Use: "build RECIPE", Short: "Build an image of a recipe: a base, packages and files", Long: envBuildLong,
		Example: "  tako env build data.yaml && tako run --image acme/data:1 script.py\n  tako env build -t acme/data:2 - < data.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || (len(args) == 1) == (file != "") {
				return usageError("env build takes one recipe: a file, or - for standard input")
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&name, "tag", "t", "", "call the image `NAME` instead of what the recipe says")
	cmd.Flags().StringVarP(&file, "file", "f", "", "the recipe's `file`, as the argument is")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing on standard error beside errors")
	r := &remote{app: a}
	cmd.Flags().BoolVar(&r.json, "json", false, "print the answer as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			file = args[0]
		}
		if name != "" {
			if err := oci.CheckReference(name); err != nil {
				return usageError("--tag: %s", err)
			}
		}
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		return imageFailure(a.buildRecipe(cmd.Context(), cfg, r, build{file: file, name: name, quiet: quiet}), exitFailed)
	}
	return cmd
}

// build is what was asked for.
type build struct {
	file, name string
	quiet      bool
}

func (a *app) buildRecipe(ctx context.Context, cfg *config.Config, r *remote, b build) error {
	rec, err := a.readRecipe(b.file)
	if err != nil {
		return err
	}
	rec.Name = cmp.Or(b.name, rec.Name)
	log := io.Writer(a.streams.Err)
	if b.quiet {
		log = io.Discard
	}
	image, err := assembly.BuildRecipe(ctx, cfg, rec, assembly.RecipeOptions{
		Progress: newProgressOf(cmp.Or(rec.Name, rec.Shown), a.streams.Err, b.quiet),
		Machine:  newProgress(a.streams.Err, b.quiet), Log: log,
	})
	if err != nil {
		return err
	}
	return r.say(image, func() { r.pulled(image) })
}

// readRecipe reads a recipe, of standard input for "-".
func (a *app) readRecipe(name string) (*recipe.Recipe, error) {
	const most = 2 << 20 // Parse takes less
	var in io.ReadCloser = io.NopCloser(a.streams.In)
	shown := "the recipe"
	if name != "-" {
		shown = name
		f, err := openRegular(name)
		if err != nil {
			return nil, &exitError{code: exitFailed, msg: fmt.Sprintf("the recipe %s", err)}
		}
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, &exitError{code: exitFailed, msg: fmt.Sprintf("the recipe %s: %s", name, pathCause(err))}
	}
	rec, err := recipe.Parse(shown, data)
	if err != nil {
		return nil, err
	}
	if rec.Dir, err = os.Getwd(); err != nil {
		return nil, fmt.Errorf("the working directory: %w", err)
	}
	if name != "-" {
		if rec.Path, err = filepath.Abs(name); err != nil {
			return nil, fmt.Errorf("the recipe %s: %w", name, err)
		}
		rec.Dir = filepath.Dir(rec.Path)
	}
	return rec, nil
}
