package assembly

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/mcp"
	"github.com/takovm/tako/internal/server"
	tako "github.com/takovm/tako/sdk/go"
)

// withTools makes the API, and serves tools at /mcp that ask it in turn, with
// the key of who asks.
func withTools(cfg *config.Config, o api.Options, s api.Service) http.Handler {
	var handler *api.API
	// Not Origin and Content-Type: the call was let in, and these are calls of ours.
	headers := []string{"Authorization", cfg.APIAuthHeader, "X-Forwarded-For", "X-Correlation-ID"}
	o.MCP = func(w http.ResponseWriter, r *http.Request, p job.Principal) {
		mcp.Handler(func(r *http.Request) mcp.Options {
			client, err := tako.New("http://localhost", tako.Options{UserAgent: "tako-mcp", Retries: -1,
				HTTPClient: &http.Client{Transport: &mcp.Transport{API: handler, For: r, Headers: headers}}})
			if err != nil {
				panic(err) // the URL is right
			}
			return mcp.Options{Client: client, Version: o.Version, ReadOnly: !p.Can(job.ScopeExecute)}
		}).ServeHTTP(w, r)
	}
	handler = api.New(o, s)
	return handler
}

// ServeMCP serves tools over standard input and output with a server of its
// own, which nobody else can reach: it listens on no address. The data
// directory is its own as long as it runs.
func ServeMCP(ctx context.Context, cfg *config.Config, opts ServerOptions, in io.ReadCloser, out io.Writer) error {
	own := *cfg
	own.APIAuthEnabled, own.APIRateLimitEnabled, own.ServerHost = false, false, "localhost"
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	listener := newPipeListener()
	ready := make(chan struct{})
	opts.Ready = func(net.Addr) { close(ready) }
	failed := make(chan error, 1)
	go func() { failed <- serveOn(ctx, &own, opts, listener, nil) }()
	select {
	case err := <-failed:
		if errors.Is(err, server.ErrLocked) {
			return job.Errorf(job.KindUnavailable, "the data directory %s is used by a running server", cfg.DataDir).
				WithHint("set TAKO_URL to the URL of that server, or data_dir to another directory")
		}
		return err
	case <-ready:
	}
	transport := &http.Transport{DialContext: listener.dial}
	client, err := tako.New("http://localhost", tako.Options{UserAgent: "tako-mcp", HTTPClient: &http.Client{Transport: transport}})
	if err == nil {
		err = mcp.ServeStdio(ctx, mcp.Options{Client: client, Version: opts.Version, Log: opts.Log}, in, out)
	}
	transport.CloseIdleConnections()
	stop()
	return errors.Join(err, <-failed)
}

// pipeListener takes connections from within the process.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "in-process", Net: "unix"} }
