// Package server runs the parts of a server together: it starts them in order,
// serves until it is told to stop, and stops them in reverse, so that nothing
// that was accepted is lost.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

// Times of connections. Answers have no bound of their own here: output is
// streamed for as long as a job runs.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 5 * time.Minute // of a whole request, uploads included
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Jobs is what runs jobs.
type Jobs interface {
	Start(ctx context.Context) error
	// Stop returns when nothing runs any more; the end of ctx makes it hurry.
	Stop(ctx context.Context)
}

// Options say what to serve.
type Options struct {
	Listener net.Listener
	Handler  http.Handler
	// TLS, if not nil, is the certificate to serve with.
	TLS  *tls.Certificate
	Jobs Jobs
	// Background are loops of the server's own: cleanup, deliveries. They end
	// with their context.
	Background []func(ctx context.Context)
	// Drain is how long requests and jobs may go on after the stop.
	Drain time.Duration
	// Ready is called when requests are taken, Stopping when no more are.
	Ready, Stopping func()
	Log             *slog.Logger
}

// Run serves until ctx ends, then stops: no new work is taken, what runs may
// go on for the drain's time, the rest is handed back. It returns when
// everything has been stored and closed.
func Run(ctx context.Context, o Options) error {
	if err := o.Jobs.Start(ctx); err != nil {
		o.Jobs.Stop(ctx)
		return errors.Join(err, o.Listener.Close())
	}
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	srv := &http.Server{
		Handler:           o.Handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return streams },
	}
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range o.Background {
		loops.Go(func() { loop(background) })
	}
	served := make(chan error, 1)
	go func() { served <- serve(srv, o) }()
	o.Ready()
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		err = fmt.Errorf("serving: %w", err)
	}
	o.Stopping()
	stop(srv, o, endStreams)
	stopBackground()
	loops.Wait()
	return err
}

func serve(srv *http.Server, o Options) error {
	if o.TLS == nil {
		return srv.Serve(o.Listener)
	}
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.TLS}, MinVersion: tls.VersionTLS12}
	return srv.ServeTLS(o.Listener, "", "")
}

// stop ends requests and jobs together: sync jobs are requests. Streams of
// output that would go on are cut when the jobs are done; their readers
// resume elsewhere.
func stop(srv *http.Server, o Options, endStreams func()) {
	ctx, cancel := context.WithTimeout(context.Background(), o.Drain+10*time.Second)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() {
		o.Jobs.Stop(ctx)
		endStreams()
	})
	both.Go(func() {
		if err := srv.Shutdown(ctx); err != nil {
			o.Log.Warn("connections that did not end are closed", "error", err)
			srv.Close()
		}
	})
	both.Wait()
}

// CheckBind refuses an address that is not loopback where nobody has to
// authenticate.
func CheckBind(host string, authenticated, allowed bool) error {
	if authenticated || allowed || Loopback(host) {
		return nil
	}
	return job.Errorf(job.KindConfig, "the server would listen on %s without authentication", host).
		WithHint("set api_auth_enabled and a key (tako keys create --admin), listen on 127.0.0.1, or set allow_unauthenticated_network_access")
}

// Loopback reports whether host names this machine alone.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return ip != nil && ip.IsLoopback()
}
