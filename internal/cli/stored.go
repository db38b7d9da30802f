package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/config"
	tako "github.com/takovm/tako/sdk/go"
)

// stored is how to get at what a server keeps: by its client, or, without --url
// and TAKO_URL, in the database of the configuration.
type stored[S any] struct {
	behind func(c *tako.Client) S
	beside func(ctx context.Context, cfg *config.Config) (S, io.Closer, error)
}

// command is a command on it.
func (k stored[S]) command(a *app, cmd *cobra.Command, run func(ctx context.Context, r *remote, s S, args []string) error) *cobra.Command {
	cmd, r := a.remoteCommand(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.given() != "" {
			c, err := r.client()
			if err != nil {
				return err
			}
			return run(cmd.Context(), r, k.behind(c), args)
		}
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		s, database, err := k.beside(cmd.Context(), cfg)
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		defer database.Close() //nolint:errcheck // what was done is committed
		return run(cmd.Context(), r, s, args)
	}
	return cmd
}
