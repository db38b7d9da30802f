package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/runner"
)

const serverLong = `Serve the API: jobs are accepted, queued, run in sandboxes and recorded.

The server listens on 127.0.0.1:8000 and refuses any other address as long as
nobody has to authenticate. Records and the queue are in the data directory,
which one server uses at a time; tako run works beside it.

Several servers can share their work: with one PostgreSQL database
(--database-url) and, since each of them runs jobs whose files another has
taken, one bucket for files (blob_url).

It answers 503 to everything until it has started.

SIGTERM or SIGINT stop it: it takes no more work, lets what runs go on for up
to 30 seconds, hands the rest back to the queue and exits with 0. Meanwhile
jobs can be read. A second signal ends it at once; nothing that was accepted is
lost by that, either.

    tako server                                       http://localhost:8000
    tako server --port 9000 --config tako_vm.yaml
    tako server --socket /run/tako.sock               for this user alone
    tako server --host 0.0.0.0 --tls-cert c.pem --tls-key k.pem    needs API keys`

type serverOptions struct {
	host, socket, cert, key, database string
	port, workers                     int
	reload, noPostgres                bool
}

func (a *app) newServerCommand() *cobra.Command {
	o := &serverOptions{}
	cmd := &cobra.Command{
		Use: "server", SuggestFor: []string{"serve", "start", "up", "daemon", "api"},
		Short: "Serve the API",
		Long:  serverLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.explainOld(o, cmd.Flags().Changed("workers")); err != nil {
				return err
			}
			cfg, err := a.config()
			if err != nil {
				return &exitError{code: exitFailed, msg: err.Error()}
			}
			if cmd.Flags().Changed("host") {
				cfg.ServerHost = o.host
			}
			if cmd.Flags().Changed("socket") {
				if cfg.ServerSocket, err = filepath.Abs(o.socket); err != nil {
					return usageError("--socket %s: %v", o.socket, err)
				}
			}
			if cmd.Flags().Changed("database-url") {
				cfg.DatabaseURL = config.Secret(o.database)
			}
			if err := cfg.Validate(); err != nil { // flags may have changed it
				return &exitError{code: exitFailed, msg: err.Error()}
			}
			if cmd.Flags().Changed("port") {
				if o.port < 0 || o.port > 65535 {
					return usageError("--port %d: it must be between 0 and 65535", o.port)
				}
				cfg.ServerPort = o.port
			}
			return a.serve(cmd.Context(), cfg, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.host, "host", "", "`address` to listen on (default 127.0.0.1, or server_host)")
	f.IntVar(&o.port, "port", 0, "TCP `port` to listen on, 0 for any (default 8000, or server_port)")
	f.StringVar(&o.socket, "socket", "", "Unix socket at `path` to listen on instead of TCP; only this user can connect\n(default none, or server_socket); clients name it as unix:///path")
	f.StringVar(&o.database, "database-url", "", "keep records and queue in PostgreSQL, at the `URL` postgres://user@host/name; take a password\nfrom TAKO_VM_DATABASE_URL or ~/.pgpass, because flags are seen by everybody")
	f.StringVar(&o.cert, "tls-cert", "", "serve TLS with the certificate in `file` (PEM; default none: plain HTTP)")
	f.StringVar(&o.key, "tls-key", "", "its private key, in `file` (PEM)")
	f.IntVar(&o.workers, "workers", 1, "of Tako VM; not needed: one process uses all processors, max_workers says how many\njobs run at once, whatever this `number` is")
	f.BoolVar(&o.reload, "reload", false, "of Tako VM; not needed: there is no source to watch")
	f.BoolVar(&o.noPostgres, "no-auto-start-postgres", false, "of Tako VM; not needed: tako never starts a PostgreSQL")
	return cmd
}

// explainOld says what Tako VM's flags are here: no reason to fail.
func (a *app) explainOld(o *serverOptions, workers bool) error {
	switch {
	case o.workers < 1:
		return &exitError{code: exitFailed, msg: fmt.Sprintf("--workers %d: it must be at least 1", o.workers)}
	case o.reload && o.workers > 1:
		return &exitError{code: exitFailed, msg: "--workers and --reload do not go together"}
	}
	if workers {
		fmt.Fprintln(a.streams.Err, "tako: --workers is not needed: one process uses all processors, and max_workers says how many jobs run at once")
	}
	if o.reload {
		fmt.Fprintln(a.streams.Err, "tako: --reload is not needed: there is no source to watch")
	}
	return nil
}

func (a *app) serve(ctx context.Context, cfg *config.Config, o *serverOptions) error {
	if o.cert != "" {
		cfg.TLSCertFile = o.cert
	}
	if o.key != "" {
		cfg.TLSKeyFile = o.key
	}
	scheme := "http"
	if cfg.TLSCertFile != "" {
		scheme = "https"
	}
	log := slog.New(logHandler(a.streams.Err, cfg))
	err := assembly.Serve(ctx, cfg, assembly.ServerOptions{
		Progress: newProgress(a.streams.Err, false),
		Log:      log,
		Version:  takoVersion(),
		Ready: func(addr net.Addr) {
			for _, w := range cfg.Warnings() {
				log.Warn(w)
			}
			if addr.Network() == "unix" {
				scheme = "unix"
			}
			fmt.Fprintf(a.streams.Err, "tako: listening on %s://%s\n", scheme, addr)
		},
	})
	if err != nil && ctx.Err() == nil {
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	if errors.Is(context.Cause(ctx), runner.ErrOperator) {
		return nil // a stop that was asked for is no failure
	}
	return err
}

func logHandler(to io.Writer, cfg *config.Config) slog.Handler {
	options := &slog.HandlerOptions{Level: logLevel(cfg.LogLevel)}
	if cfg.LogFormat == "json" {
		return slog.NewJSONHandler(to, options)
	}
	return slog.NewTextHandler(to, options)
}

func logLevel(name string) slog.Level {
	switch name {
	case "DEBUG":
		return slog.LevelDebug
	case "WARNING":
		return slog.LevelWarn
	case "ERROR", "CRITICAL":
		return slog.LevelError
	}
	return slog.LevelInfo
}
