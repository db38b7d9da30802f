package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	tako "github.com/takovm/tako/sdk/go"
)

// safe is where secrets are kept: behind a server, or in the database.
type safe interface {
	Secrets(ctx context.Context) ([]tako.Secret, error)
	SetSecret(ctx context.Context, name, value string) (*tako.Secret, error)
	DeleteSecret(ctx context.Context, name string) (*tako.SecretRemoved, error)
}

const secretsHelp = `

Job types bind a secret to a host and a header (secrets in the configuration);
their programs see a placeholder, whose place the value takes on its way to that
host. Values are stored encrypted; the key is in secret_key_file.

Without --url and TAKO_URL this works on the database of the configuration, also
beside a running server.`

const secretsLong = `Set, list and remove secrets that jobs use without having them:

    tako secrets set API_KEY < key.txt     store it, or change it
    tako secrets list                      which there are, without values

A job type binds one to a host (secrets: [{name: API_KEY, host: api.example.com}]).
Its programs see a placeholder in the variable API_KEY; tako puts the value into
requests by HTTPS to that host.`

func (a *app) newSecretsCommand() *cobra.Command {
	cmd := group("secrets", "Set, list and remove secrets that job types use", a.newSecretsSetCommand(), a.newSecretsListCommand(), a.newSecretsRemoveCommand())
	cmd.Long = secretsLong
	cmd.SuggestFor = []string{"secret"}
	return cmd
}

// secretsCommand is a command on secrets.
func (a *app) secretsCommand(cmd *cobra.Command, run func(ctx context.Context, r *remote, s safe, args []string) error) *cobra.Command {
	cmd.Long += secretsHelp
	return stored[safe]{
		behind: func(c *tako.Client) safe { return c },
		beside: func(ctx context.Context, cfg *config.Config) (safe, io.Closer, error) {
			s, err := assembly.OpenSecrets(ctx, cfg)
			return s, s, err
		},
	}.command(a, cmd, run)
}

func (a *app) newSecretsSetCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Store a secret, or change it",
		Long: `Store a secret, or change it. The value is read from standard input or a file,
without a line end after it; it has 8 to 8192 characters of printable ASCII. NAME
is also the variable in which programs find the placeholder. A change holds for
jobs that start after it.`,
		Example: "  tako secrets set OPENAI_API_KEY < key.txt\n  pass show openai | tako secrets set OPENAI_API_KEY",
		Args:    oneID("name"),
	}
	cmd.Flags().StringVar(&file, "file", "-", "read the value from `file`; - is standard input")
	return a.secretsCommand(cmd, func(ctx context.Context, r *remote, s safe, args []string) error {
		value, err := a.secretValue(file)
		if err != nil {
			return err
		}
		set, err := s.SetSecret(ctx, args[0], value)
		if err != nil {
			return failure(err)
		}
		return r.say(set, func() { r.printf("set %s\n", set.Name) })
	})
}

// secretValue reads a value without the line end that editors and echo leave.
func (a *app) secretValue(file string) (string, error) {
	const most = 64 << 10
	in := a.streams.In
	if file != "-" {
		f, err := openRegular(file)
		if err != nil {
			return "", usageError("--file: %s", err)
		}
		defer f.Close()
		in = f
	} else if term.IsTerminal(int(in.Fd())) {
		fmt.Fprintln(a.streams.Err, "tako: type the value, then a line end and Ctrl-D")
	}
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return "", usageError("reading the value: %s", pathCause(err))
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	return string(bytes.TrimSuffix(data, []byte("\r"))), nil
}

func (a *app) newSecretsListCommand() *cobra.Command {
	return a.secretsCommand(&cobra.Command{Use: "list", Short: "List secrets", Long: "List secrets, without their values.", Args: noArgs, Example: "  tako secrets list", SuggestFor: []string{"ls"}},
		func(ctx context.Context, r *remote, s safe, _ []string) error {
			list, err := s.Secrets(ctx)
			if err != nil {
				return failure(err)
			}
			return r.say(list, func() {
				if len(list) == 0 {
					r.printf("No secrets. The first one: tako secrets set NAME\n")
					return
				}
				r.table("NAME\tCHANGED", func(row func(...any)) {
					for _, v := range list {
						row(v.Name, clock(v.ChangedAt))
					}
				})
			})
		})
}

func (a *app) newSecretsRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a secret", Args: oneID("name"), SuggestFor: []string{"remove", "delete"},
		Long: "Remove a secret: jobs of types that need it fail from then on.", Example: "  tako secrets rm OPENAI_API_KEY",
	}
	return a.secretsCommand(cmd, func(ctx context.Context, r *remote, s safe, args []string) error {
		removed, err := s.DeleteSecret(ctx, args[0])
		if err != nil {
			return failure(err)
		}
		return r.say(removed, func() { r.printf("removed %s\n", removed.Name) })
	})
}

// secretsOf are the values that a job type binds, out of the database of the
// configuration.
func secretsOf(ctx context.Context, cfg *config.Config, t job.Type) ([]egress.Secret, error) {
	if len(t.Secrets) == 0 {
		return nil, nil
	}
	s, err := assembly.OpenSecrets(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer s.Close() //nolint:errcheck // it was only read
	return attempt.Bind(ctx, t, s)
}
