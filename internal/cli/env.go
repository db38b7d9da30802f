package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	packages "github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/oci"
)

const envLong = `Keep container images as environments: root file systems that programs can run
in, with "tako run --image REF". No Docker is needed, and nothing of an image is
executed by pulling it. Recipes make images of other images, packages and files.
Images are in the data directory.

    tako env pull python:3.12-slim                       from a registry
    tako run --image python:3.12-slim -c 'print(1 + 1)'  without it
    tako env list                                        what is here`

func (a *app) newEnvCommand() *cobra.Command {
	cmd := group("env", "Pull, build, list and remove container images to run in", a.newEnvPullCommand(), a.newEnvLoadCommand(),
		a.newEnvBuildCommand(), a.newEnvCopyCommand(), a.newEnvListCommand(), a.newEnvShowCommand(), a.newEnvRemoveCommand(), a.newEnvGCCommand(), a.newEnvLockCommand())
	cmd.Long = envLong
	return cmd
}

// envCommand is a command on the store of images.
func (a *app) envCommand(cmd *cobra.Command, run func(ctx context.Context, r *remote, store *oci.Store, args []string) error) *cobra.Command {
	r := &remote{app: a}
	cmd.Flags().BoolVar(&r.json, "json", false, "print the answer as JSON")
	if cmd.ValidArgsFunction == nil && !strings.HasPrefix(cmd.Use, "load") {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		store, err := assembly.OpenImages(cfg)
		if err != nil {
			return imageFailure(err, exitFailed)
		}
		return imageFailure(run(cmd.Context(), r, store, args), exitFailed)
	}
	return cmd
}

// imageFailure gives an error about an image its exit code: the command line is
// not what was wrong.
func imageFailure(err error, code int) error {
	var exit *exitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{code: code, msg: err.Error()}
}

// imageNames takes arguments that are names of images.
func imageNames(count cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := count(cmd, args); err != nil {
			return err
		}
		for _, arg := range args {
			if err := oci.CheckReference(arg); err != nil && !packages.IsDigest(arg) {
				return usageError("%s", err)
			}
		}
		return nil
	}
}

// login are the flags that name credentials.
type login struct {
	username string
	fromIn   bool
	quiet    bool
}

func (l *login) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.username, "username", "", "`name` to log in to the registry with (default: Docker's config.json)")
	cmd.Flags().BoolVar(&l.fromIn, "password-stdin", false, "read the password from standard input")
}

// options reads the password. It is never an argument, which others could see.
func (l *login) options(in io.Reader) (o oci.Options, err error) {
	if (l.username != "") != l.fromIn {
		return o, usageError("--username and --password-stdin go together: name both or neither")
	}
	if !l.fromIn {
		return o, nil
	}
	const most = 64 << 10 // some registries' passwords are tokens
	password, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return o, usageError("reading the password from standard input: %s", pathCause(err))
	}
	o.Username, o.Password = l.username, strings.TrimRight(string(password), "\r\n")
	if o.Password == "" {
		return o, usageError("standard input has no password")
	}
	return o, nil
}

func (a *app) newEnvPullCommand() *cobra.Command {
	l := &login{}
	cmd := &cobra.Command{
		Use: "pull REF", Short: "Pull an image from a registry", Args: imageNames(oneID("image")),
		Long: `Pull an image for linux/amd64 from a registry, by tag or digest, and make it an
environment. What is here already is not fetched again, and a download that broke
off goes on where it was. If anything fails, what REF meant before stays.

Credentials are those of --username and --password-stdin, else what "docker login"
or "podman login" has kept. Plain HTTP is spoken to this machine only.`,
		Example: "  tako env pull python:3.12-slim\n  tako env pull --username ci --password-stdin registry.example.com/team/tools:7 < token",
	}
	l.flags(cmd)
	cmd.Flags().BoolVarP(&l.quiet, "quiet", "q", false, "say nothing on standard error beside errors")
	return a.envCommand(cmd, func(ctx context.Context, r *remote, store *oci.Store, args []string) error {
		o, err := l.options(a.streams.In)
		if err != nil {
			return err
		}
		o.Progress = newProgressOf(args[0], a.streams.Err, l.quiet)
		image, err := store.Pull(ctx, args[0], o)
		if err != nil {
			return err
		}
		return r.say(image, func() { r.pulled(image) })
	})
}

func (a *app) newEnvLoadCommand() *cobra.Command {
	var name string
	var quiet bool
	cmd := &cobra.Command{
		Use: "load ARCHIVE", Short: "Load an image from an archive", Args: oneID("archive"),
		Long: `Load the images of an archive that "docker save", "podman save" or another tool
has written (docker-archive or OCI layout, also compressed), under the names that
it has for them.`,
		Example: "  docker save tools:7 > tools.tar && tako env load tools.tar",
	}
	cmd.Flags().StringVar(&name, "name", "", "call the image `REF` (default the archive's name for it)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing on standard error beside errors")
	return a.envCommand(cmd, func(ctx context.Context, r *remote, store *oci.Store, args []string) error {
		if name != "" {
			if err := oci.CheckReference(name); err != nil {
				return usageError("--name: %s", err)
			}
		}
		images, err := store.Load(ctx, args[0], name, oci.Options{Progress: newProgressOf(args[0], a.streams.Err, quiet)})
		if err != nil {
			return err
		}
		return r.say(images, func() {
			for _, image := range images {
				r.pulled(image)
			}
		})
	})
}

// pulled is what to say about an image that has come.
func (r *remote) pulled(image *oci.Image) {
	r.printf("%s: %s, %d MiB\n", oneLine(image.Reference), languagesOf(image), image.Size>>20)
}

func languagesOf(image *oci.Image) string {
	languages := slices.Sorted(maps.Keys(image.Environment.Languages))
	for i, l := range languages {
		if l == "python" {
			languages[i] = "python " + image.Environment.Version
		}
	}
	if len(languages) == 0 {
		return "commands only"
	}
	return strings.Join(languages, ", ")
}

func (a *app) newEnvListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the images that are here", Args: noArgs, SuggestFor: []string{"ls", "images"},
		Example: "  tako env list --all",
		Long:    "List the images that are here, and with --all the layers of packages, too: what was\ninstalled for job types, requests and \"tako run --with\".",
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list layers of packages, too")
	return a.envCommand(cmd, func(ctx context.Context, r *remote, store *oci.Store, _ []string) error {
		images := append([]*oci.Image{}, store.List()...)
		if all {
			return a.listAll(ctx, r, images)
		}
		return r.say(images, func() { r.images(images) })
	})
}

// images prints a table of images.
func (r *remote) images(images []*oci.Image) {
	if len(images) == 0 {
		r.printf("No images. Pull one: tako env pull python:3.12-slim\n")
		return
	}
	r.table("IMAGE\tRUNS\tSIZE\tENVIRONMENT\tPULLED OR BUILT", func(row func(...any)) {
		for _, i := range images {
			row(i.Reference, languagesOf(i), fmt.Sprintf("%d MiB", i.Size>>20), short(i.Digest), i.Pulled.Local().Format(time.DateTime))
		}
	})
}

func short(digest string) string { return digest[:min(len(digest), 12)] }

func (a *app) newEnvShowCommand() *cobra.Command {
	return a.envCommand(&cobra.Command{
		Use: "show (REF | LAYER)", Short: "Say what an image or a layer of packages is", Args: imageNames(oneID("image")),
		Long:    "Say what an image is and how programs run in it; or what is in a layer of packages,\nby its digest or 12 digits of it.",
		Example: "  tako env show python:3.12-slim\n  tako env show --json 4f5c1a2b3d4e",
	},
		func(ctx context.Context, r *remote, store *oci.Store, args []string) error {
			if layers, err := a.layerNamed(ctx, store, args[0]); layers != nil || err != nil {
				return r.showLayer(layers, args[0], err)
			}
			image, err := store.Show(args[0])
			if err != nil {
				return err
			}
			return r.say(image, func() { r.describe(image) })
		})
}

// describe prints an image in lines.
func (r *remote) describe(image *oci.Image) {
	env := image.Environment
	created := "unknown" // images that are to be the same each time say nothing
	if image.Created.Unix() > 0 {
		created = image.Created.Local().Format(time.DateTime)
	}
	rows := [][2]string{
		{"Image", image.Reference}, {"Manifest", image.Manifest}, {"Environment", image.Digest},
		{"Runs", languagesOf(image)},
		{"Size", fmt.Sprintf("%d MiB, of %d MiB in %d layers", image.Size>>20, image.Download>>20, max(len(image.Blobs)-2, 0))},
		{"Created", created},
	}
	rows = append(rows, origin(image)...)
	if c := env.Config; c != nil {
		rows = append(rows, [2]string{"User", fmt.Sprintf("%d:%d", c.UID, c.GID)})
		if c.User != "" {
			rows[len(rows)-1][1] += ", for the image's " + c.User
		}
		if c.WorkingDir != "" {
			where := c.WorkingDir
			if c.Dir == "" {
				where += ", which is not there in a sandbox: commands start in /app"
			}
			rows = append(rows, [2]string{"Directory", where})
		}
		for _, l := range [][2]any{{"Entrypoint", c.Entrypoint}, {"Command", c.Cmd}} {
			if args, _ := l[1].([]string); len(args) > 0 {
				rows = append(rows, [2]string{l[0].(string), fmt.Sprintf("%q, which is not run by itself", args)})
			}
		}
		for _, v := range c.Env {
			rows = append(rows, [2]string{"Variable", v})
		}
	}
	for _, row := range rows {
		r.printf("%-12s %s\n", row[0]+":", oneLine(row[1]))
	}
}

// origin is how an image came here.
func origin(image *oci.Image) [][2]string {
	at := image.Pulled.Local().Format(time.DateTime)
	b := image.Built
	if b == nil {
		return [][2]string{{"Pulled", at}}
	}
	rows := [][2]string{{"Built", at}}
	if b.Recipe != "" {
		rows[0][1] += ", of " + b.Recipe
	}
	base := "this machine's Python"
	if b.Base != "" {
		base = b.Base + ", " + b.BaseManifest
	}
	rows = append(rows, [2]string{"Base", base})
	if len(b.Requirements) > 0 {
		rows = append(rows, [2]string{"Packages", strings.Join(b.Installed, ", ") + ", for " + strings.Join(b.Requirements, ", ")})
	}
	return rows
}
