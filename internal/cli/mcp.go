package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/mcp"
	tako "github.com/takovm/tako/sdk/go"
)

const mcpLong = `Serve tools for an assistant over standard input and output, by the Model Context
Protocol: run_code, rerun, fork, list_executions, get_execution, list_artifacts
and read_artifact.

With --url or TAKO_URL the tools are those of a running server, with the API key
of TAKO_API_KEY: a key without the scope execute has the tools that look. Otherwise
this process runs the code itself, on the data directory, which one server uses at
a time. A running server has the same tools at /mcp.

An assistant is told of it by its configuration:

    {"mcpServers": {"tako": {"command": "tako", "args": ["mcp"]}}}

It ends when standard input does.`

func (a *app) newMCPCommand() *cobra.Command {
	r := &remote{app: a}
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Serve tools for an assistant (Model Context Protocol)",
		Long:  mcpLong,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.mcp(cmd.Context(), r) },
	}
	cmd.Flags().StringVar(&r.url, "url", "", "`URL` of a server (default $TAKO_URL, or none: run code here)")
	return cmd
}

func (a *app) mcp(ctx context.Context, r *remote) error {
	err := a.serveMCP(ctx, r)
	if errors.Is(err, io.EOF) { // the client is gone
		return nil
	}
	return err
}

func (a *app) serveMCP(ctx context.Context, r *remote) error {
	if url := r.given(); url != "" {
		c, err := tako.New(url, tako.Options{APIKey: os.Getenv("TAKO_API_KEY"), UserAgent: "tako-mcp"})
		if err != nil {
			return usageError("--url: %s", err)
		}
		looks, err := mcp.Looks(ctx, c)
		if err != nil {
			return failure(err)
		}
		return mcp.ServeStdio(ctx, mcp.Options{Client: c, Version: takoVersion(), ReadOnly: looks}, a.streams.In, a.streams.Out)
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	return assembly.ServeMCP(ctx, cfg, assembly.ServerOptions{
		Progress: func(environment.Progress) {}, Log: slog.New(logHandler(a.streams.Err, cfg)), Version: takoVersion(),
	}, a.streams.In, a.streams.Out)
}
