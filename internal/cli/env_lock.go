package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/oci"
)

// lockOptions are the flags of tako env lock.
type lockOptions struct {
	image, jobType string
	kind, file     string
	quiet          bool
}

func (a *app) newEnvLockCommand() *cobra.Command {
	o, r := &lockOptions{}, &remote{app: a}
	cmd := &cobra.Command{
		Use: "lock [flags] [PACKAGE...]", Short: "Print what exactly packages came to",
		Long: `Print the lock file of packages: what a job that asks for them has, version by
version, with hashes. Python's is a requirements.txt, which pip and uv install
again; npm's is a package-lock.json. Packages that were not asked for before are
installed first, as tako run --with does. Those of --job-type come before the
PACKAGEs.`,
		Example: `  tako env lock numpy 'pandas>=2' -o requirements.txt
  tako env lock --kind npm npm:express numpy`,
	}
	f := cmd.Flags()
	f.StringVar(&o.image, "image", "", "the packages of the container image `REF` instead of this machine's Python")
	f.StringVar(&o.jobType, "job-type", "", "the packages and the image of this `type` of the configuration or of job_types.json")
	f.StringVar(&o.kind, "kind", "", "the `kind` to print where both are asked for: python or npm")
	f.StringVarP(&o.file, "output", "o", "", "write `file` instead of printing")
	f.BoolVar(&r.json, "json", false, "print both as JSON")
	completes(cmd, "kind", "python", "npm")
	a.completesTypes(cmd, "job-type")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "say nothing on standard error beside errors")
	cmd.RunE = func(cmd *cobra.Command, packages []string) error {
		if o.kind != "" && o.kind != "python" && o.kind != "npm" {
			return usageError("--kind: %q is neither python nor npm", o.kind)
		}
		if r.json && o.file != "" {
			return usageError("--json and --output do not go together: print the one, or write the other")
		}
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		return imageFailure(a.lock(cmd.Context(), cfg, o, r, packages), exitFailed)
	}
	return cmd
}

// lock is tako env lock.
func (a *app) lock(ctx context.Context, cfg *config.Config, o *lockOptions, r *remote, packages []string) error {
	typ, err := (&runOptions{jobType: o.jobType}).typeOf(ctx, cfg)
	if err != nil {
		return err
	}
	w := assembly.Wanted{Image: typ.Image, Pull: true, Requirements: append(typ.Requirements, packages...)}
	if o.image != "" {
		if err := oci.CheckReference(o.image); err != nil {
			return usageError("--image: %s", err)
		}
		w.Image = o.image
	}
	if len(w.Requirements) == 0 {
		return usageError("tako env lock needs packages, such as numpy or npm:lodash, or a --job-type that has some")
	}
	var said io.Writer = a.streams.Err
	if o.quiet {
		said = io.Discard
	}
	local, err := assembly.NewLocal(ctx, cfg, assembly.Options{Progress: newProgress(a.streams.Err, o.quiet), ImagesOnly: w.Image != ""})
	if err != nil {
		return err
	}
	env, err := local.Environment(ctx, w, said)
	if err == nil {
		err = a.printLock(local, env, o, r)
	}
	return errors.Join(err, local.Close())
}

func (a *app) printLock(local *assembly.Local, env environment.Environment, o *lockOptions, r *remote) error {
	l, err := local.Lock(env.Digest)
	if err != nil {
		return err
	}
	if r.json {
		return r.say(l, nil)
	}
	text := l.Python
	switch {
	case l.Python != "" && l.NPM != nil && o.kind == "":
		return usageError("there are packages of both kinds: say --kind python or --kind npm, or --json")
	case o.kind == "npm" || o.kind == "" && l.NPM != nil:
		var indented bytes.Buffer
		if err := json.Indent(&indented, l.NPM, "", "  "); err != nil {
			return fmt.Errorf("reading the lock: %w", err)
		}
		text = indented.String() + "\n"
	}
	if o.kind == "npm" && l.NPM == nil || o.kind == "python" && l.Python == "" {
		return usageError("no package of the kind %s was asked for", o.kind)
	}
	if o.file == "" {
		_, err = io.WriteString(a.streams.Out, text)
		return err
	}
	if err := os.WriteFile(filepath.Clean(o.file), []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	return nil
}
