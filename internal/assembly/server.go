package assembly

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
	"github.com/takovm/tako/internal/server"
)

// ServerOptions are what a caller may add to the configuration of a server.
type ServerOptions struct {
	Progress func(environment.Progress)
	Log      *slog.Logger
	Version  string
	// Ready is told the address when requests are taken.
	Ready func(addr net.Addr)
	// Executable is the binary that becomes a sandbox; default this one.
	Executable string
}

// drain is how long what runs may go on after the stop.
const drain = 30 * time.Second

// Serve runs a server until ctx ends. Whatever is wrong with the configuration
// is said before anything is touched.
func Serve(ctx context.Context, cfg *config.Config, opts ServerOptions) error {
	if cfg.ServerSocket != "" {
		own := *cfg
		own.ServerHost = "localhost" // as clients of a socket have it
		cfg = &own
	}
	if err := server.CheckBind(cfg.ServerHost, cfg.APIAuthEnabled, cfg.AllowUnauthenticated); err != nil {
		return err
	}
	if err := CheckNetworks(cfg); err != nil {
		return err
	}
	cert, err := certificate(cfg)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	return serveOn(ctx, cfg, opts, listener, cert)
}

// serveOn serves what comes in at a listener.
func serveOn(ctx context.Context, cfg *config.Config, opts ServerOptions, listener net.Listener, cert *tls.Certificate) (err error) {
	var undo lifecycle.Undo
	defer func() { err = errors.Join(err, undo.Run()) }()
	return server.Run(ctx, server.Options{
		Listener: listener, TLS: cert, Starting: api.Starting(), Drain: drain, Log: opts.Log,
		Build: func(ctx context.Context) (server.Parts, error) { return parts(ctx, cfg, opts, listener.Addr(), &undo) },
	})
}

// parts makes what is served.
func parts(ctx context.Context, cfg *config.Config, opts ServerOptions, at net.Addr, undo *lifecycle.Undo) (server.Parts, error) {
	s, err := newServed(ctx, cfg, opts, undo)
	if err != nil {
		return server.Parts{}, err
	}
	options, err := s.apiOptions(ctx, cfg, opts)
	if err != nil {
		return server.Parts{}, err
	}
	return server.Parts{
		Handler: withTools(cfg, options, s), Jobs: s.Jobs, Background: s.background(cfg),
		Ready: func() {
			s.SetReady(true)
			server.Notify("READY=1")
			opts.Ready(at)
		},
		Stopping: func() {
			s.SetReady(false)
			server.Notify("STOPPING=1")
		},
	}, nil
}

// apiOptions are what the API is made for.
func (s *served) apiOptions(ctx context.Context, cfg *config.Config, opts ServerOptions) (api.Options, error) {
	o, err := api.OptionsFrom(cfg)
	if err != nil {
		return o, err
	}
	o.Version, o.Log = opts.Version, opts.Log
	o.Observe, o.Metrics = s.metrics.Request, s.metrics.Handler()
	o.Tracer = s.tracer
	if !cfg.APIAuthEnabled {
		return o, nil
	}
	if err := s.someKey(ctx, cfg); err != nil {
		return o, err
	}
	configured := make([]string, len(cfg.APIKeys))
	for i, k := range cfg.APIKeys {
		configured[i] = k.Reveal()
	}
	o.Auth = auth.New(auth.Options{Header: cfg.APIAuthHeader, Configured: configured, Keys: s.Store, Log: opts.Log})
	s.Forget = o.Auth.Forget
	return o, nil
}

// someKey refuses to serve what nobody could use.
func (s *served) someKey(ctx context.Context, cfg *config.Config) error {
	if len(cfg.APIKeys) > 0 {
		return nil
	}
	stored, err := s.Store.ListKeys(ctx)
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		return job.Errorf(job.KindConfig, "api_auth_enabled is set, and there is no API key").
			WithHint("make the first with: tako keys create --admin")
	}
	return nil
}

// certificate is what TLS is served with; nil for plain HTTP.
func certificate(cfg *config.Config) (*tls.Certificate, error) {
	if cfg.TLSCertFile == "" && cfg.TLSKeyFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return nil, job.Errorf(job.KindConfig, "the TLS certificate: %w", err).
			WithHint("give both --tls-cert and --tls-key (tls_cert_file, tls_key_file), PEM files")
	}
	return &cert, nil
}

func listen(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	if cfg.ServerSocket != "" {
		return server.ListenSocket(ctx, cfg.ServerSocket)
	}
	// An IPv6 address may come in the brackets that it has in a URL.
	host := strings.TrimSuffix(strings.TrimPrefix(cfg.ServerHost, "["), "]")
	address := net.JoinHostPort(host, strconv.Itoa(cfg.ServerPort))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "listening on %s: %w", address, err).WithHint("choose another with --host and --port")
	}
	return l, nil
}
