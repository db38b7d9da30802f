// Package server runs the parts of a server together: it starts them in order,
// serves until it is told to stop, and stops them in reverse, so that nothing
// that was accepted is lost.
package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takovm/tako/internal/job"
)

// Times of connections. Answers have no bound of their own here: output is
// streamed for as long as a job runs.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 5 * time.Minute // of a whole request; package api gives uploads a pace
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Jobs is what runs jobs.
type Jobs interface {
	Start(ctx context.Context) error
	// Stop returns when nothing runs any more; the end of ctx makes it hurry.
	Stop(ctx context.Context)
}

// Options say where to serve, and what.
type Options struct {
	Listener net.Listener
	// TLS, if not nil, is the certificate to serve with.
	TLS *tls.Certificate
	// Starting answers every request until Build has made what does.
	Starting http.Handler
	// Build makes what is served. Its context is Run's.
	Build func(ctx context.Context) (Parts, error)
	// Drain is how long requests and jobs may go on after the stop.
	Drain time.Duration
	Log   *slog.Logger
}

// Parts are what a server is made of.
type Parts struct {
	Handler http.Handler
	Jobs    Jobs
	// Background are loops of the server's own: cleanup, deliveries. They end
	// with their context.
	Background []func(ctx context.Context)
	// Ready is called when requests are taken, Stopping when no more work is.
	Ready, Stopping func()
}

// Run serves until ctx ends, then stops: no new work is taken, what runs may
// go on for the drain's time, the rest is handed back. It returns when
// everything has been stored and closed. There is an answer to every request
// from the first moment to the last: a start may take minutes, a drain half of
// one.
func Run(ctx context.Context, o Options) error {
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	var now front
	now.show(o.Starting)
	srv := newServer(streams, &now, o)
	served := make(chan error, 1)
	go func() { served <- serve(srv, o) }()
	p, err := start(ctx, o)
	if err != nil {
		srv.Close()
		<-served
		return err
	}
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range p.Background {
		loops.Go(func() { loop(background) })
	}
	now.show(p.Handler)
	p.Ready()
	select {
	case <-ctx.Done():
	case err = <-served:
		err = fmt.Errorf("serving: %w", err)
	}
	p.Stopping()
	stop(srv, p.Jobs, o, endStreams)
	stopBackground()
	loops.Wait()
	return err
}

// front is the handler of now.
type front struct{ handler atomic.Pointer[http.Handler] }

func (f *front) show(h http.Handler) { f.handler.Store(&h) }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}

func newServer(streams context.Context, h http.Handler, o Options) *http.Server {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return streams },
	}
	if o.TLS != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.TLS}, MinVersion: tls.VersionTLS12}
	}
	return srv
}

func serve(srv *http.Server, o Options) error {
	if o.TLS == nil {
		return srv.Serve(o.Listener)
	}
	return srv.ServeTLS(o.Listener, "", "")
}

// start makes the parts and lets jobs run.
func start(ctx context.Context, o Options) (Parts, error) {
	p, err := o.Build(ctx)
	if err != nil {
		return p, err
	}
	if err := p.Jobs.Start(ctx); err != nil {
		p.Jobs.Stop(ctx)
		return p, err
	}
	return p, nil
}

// stop answers requests for as long as jobs go on: callers may wait for them,
// read, and hear that no work is taken. Then streams of output are cut, whose
// readers resume elsewhere, what is under way is answered, and nobody listens
// any more.
func stop(srv *http.Server, jobs Jobs, o Options, endStreams func()) {
	ctx, cancel := context.WithTimeout(context.Background(), o.Drain+10*time.Second)
	defer cancel()
	jobs.Stop(ctx)
	endStreams()
	if err := srv.Shutdown(ctx); err != nil {
		o.Log.Warn("connections that did not end are closed", "error", err)
		srv.Close()
	}
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
