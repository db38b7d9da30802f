package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// clients is how many submit at once.
const clients = 16

// What is wanted of a server.
const (
	wantedOverheadMS = 1.5
	wantedStartMS    = 5
	wantedSQLite     = 1000 // submits a second
	wantedPostgres   = 2000
)

// served is what one server did, with one database.
type served struct {
	Database string `json:"database"`
	Durable  string `json:"durable"` // what "stored" means
	// OverheadMS is what a sync request takes beside its sandbox and HTTP, WallMS
	// all of it, and HTTPMS a request that does nothing.
	OverheadMS percentiles `json:"overhead_ms"`
	WallMS     percentiles `json:"wall_ms"`
	HTTPMS     percentiles `json:"http_ms"`
	// Submits were stored by clients at once, of jobs that do not run meanwhile.
	Submits          int     `json:"submits"`
	SubmitsPerSecond float64 `json:"submits_per_second"`
	Wanted           float64 `json:"wanted_submits_per_second"`
	// From accepted to claimed, with a slot free.
	StartIdleMS   percentiles `json:"start_idle_ms"`
	StartLoadedMS percentiles `json:"start_loaded_ms"` // while clients submit and cancel
}

// servers measures a server on SQLite and, where there is one, on PostgreSQL.
func (s *session) servers(ctx context.Context, o options) error {
	lite := &served{Database: "SQLite", Durable: "WAL, synchronous=FULL: an fsync before the answer", Wanted: wantedSQLite}
	if err := s.measureServer(ctx, o, lite); err != nil {
		return err
	}
	pg, err := pgtest.Start()
	if errors.Is(err, pgtest.ErrMissing) {
		s.printf("\nPostgreSQL is not installed: a server on it is not measured\n")
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	defer pg.Close()
	big := &served{Database: "PostgreSQL", Durable: "fsync=on, synchronous_commit=on: an fsync before the answer", Wanted: wantedPostgres}
	return s.measureServer(ctx, o, big, "TAKO_VM_DATABASE_URL="+pg.URL("postgres"))
}

func (s *session) measureServer(ctx context.Context, o options, f *served, env ...string) error {
	srv, err := s.startServer(ctx, env...)
	if err != nil {
		return fmt.Errorf("starting a server on %s: %w", f.Database, err)
	}
	defer srv.stop()
	for _, measure := range []func(context.Context, options, *served) error{srv.warm, srv.overhead, srv.startIdle, srv.submits, srv.startLoaded} {
		if err := measure(ctx, o, f); err != nil {
			return fmt.Errorf("a server on %s: %w", f.Database, err)
		}
	}
	s.report.Servers = append(s.report.Servers, f)
	s.printServed(f)
	return nil
}

// server is a tako server that is measured.
type server struct {
	cmd *exec.Cmd
	api *apiClient
}

func (s *session) startServer(ctx context.Context, env ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, s.tako, "server", "--port", "0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Dir = s.dir
	cmd.Env = append(s.environ(), append(env, "TAKO_VM_DATA_DIR="+s.data, "TAKO_VM_API_RATE_LIMIT_ENABLED=false")...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.pids[cmd.Process.Pid] = true
	url, said := make(chan string, 1), &strings.Builder{}
	go func() {
		defer close(url)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if u, ok := strings.CutPrefix(lines.Text(), "tako: listening on "); ok {
				url <- u
			} else if said.Len() < 1000 {
				said.WriteString(lines.Text() + "; ")
			}
		}
	}()
	u, ok := <-url
	if !ok {
		return nil, errors.Join(fmt.Errorf("it said %s", said), cmd.Wait())
	}
	return &server{cmd, newAPIClient(u)}, nil
}

func (v *server) stop() {
	v.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it is gone then
	v.cmd.Wait()                          //nolint:errcheck // it was told to end
}

// warm has what the first runs prepare prepared.
func (v *server) warm(ctx context.Context, _ options, _ *served) error {
	for range 5 {
		if _, err := v.api.execute(ctx); err != nil {
			return err
		}
	}
	return nil
}

// overhead is what is left of a request when its sandbox's time is taken off,
// and what client, loopback and server take for any request. Requests come one at
// a time, each when a sandbox waits and nothing else goes on: the making of the
// next one is no part of a request.
func (v *server) overhead(ctx context.Context, o options, f *served) error {
	var wall, plain, over []float64
	for range o.requests {
		if err := v.api.settled(ctx); err != nil {
			return err
		}
		begun := time.Now()
		if err := v.api.health(ctx); err != nil {
			return err
		}
		bare := time.Since(begun).Seconds() * 1000
		if err := v.api.settled(ctx); err != nil { // as much rest before either
			return err
		}
		begun = time.Now()
		inside, err := v.api.execute(ctx)
		if err != nil {
			return err
		}
		took := time.Since(begun).Seconds() * 1000
		wall, plain, over = append(wall, took), append(plain, bare), append(over, took-inside*1000-bare)
	}
	f.WallMS, f.HTTPMS, f.OverheadMS = percentilesOf(wall), percentilesOf(plain), percentilesOf(over)
	return nil
}

// submits has clients submit jobs for a later day, so that nothing but
// accepting them is measured.
func (v *server) submits(ctx context.Context, o options, f *served) error {
	var left atomic.Int64
	left.Store(int64(o.submits))
	errs := make(chan error, clients)
	begun := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := v.api.submitForLater(ctx); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	f.Submits, f.SubmitsPerSecond = o.submits, float64(o.submits)/time.Since(begun).Seconds()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func (v *server) startIdle(ctx context.Context, o options, f *served) (err error) {
	f.StartIdleMS, err = v.starts(ctx, o)
	return err
}

// startLoaded measures while others submit and cancel, so that the queue does not
// grow.
func (v *server) startLoaded(ctx context.Context, o options, f *served) (err error) {
	loading, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for range clients {
		all.Go(func() {
			for loading.Err() == nil {
				if v.api.submitAndCancel(loading) != nil {
					return // it is over, or the measuring will fail, too
				}
			}
		})
	}
	f.StartLoadedMS, err = v.starts(ctx, o)
	return err
}

// starts is from accepted to claimed, one job after the other.
func (v *server) starts(ctx context.Context, o options) (percentiles, error) {
	var list []float64
	for range o.starts {
		waited, err := v.api.waitToStart(ctx)
		if err != nil {
			return percentiles{}, err
		}
		list = append(list, waited.Seconds()*1000)
	}
	return percentilesOf(list), nil
}

func (s *session) printServed(f *served) {
	s.table(fmt.Sprintf("tako server on %s (%s)", f.Database, f.Durable), func(row func(string, ...any)) {
		row("\tp50\tp95\tmax\twanted")
		row("sync request less sandbox and HTTP, ms\t%s\tunder %.1f", f.OverheadMS, wantedOverheadMS)
		row("a request that does nothing, ms\t%s\t-", f.HTTPMS)
		row("whole sync request, ms\t%s\t-", f.WallMS)
		row("submit to start, idle, ms\t%s\tunder %d", f.StartIdleMS, wantedStartMS)
		row("submit to start, loaded, ms\t%s\tunder %d", f.StartLoadedMS, wantedStartMS)
		row("submits a second\t%.0f\t\t\tat least %.0f", f.SubmitsPerSecond, f.Wanted)
	})
	s.printf("  %d clients over HTTP on loopback, one connection each; %d submits of jobs for a later day; \"loaded\" is while those clients submit such jobs and cancel them.\n", clients, f.Submits)
}
