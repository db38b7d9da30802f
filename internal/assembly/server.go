package assembly

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/lifecycle"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/server"
	"github.com/takovm/tako/internal/service"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

// ServerOptions are what a caller may add to the configuration of a server.
type ServerOptions struct {
	Progress func(environment.Progress)
	Log      *slog.Logger
	Version  string
	// CertFile and KeyFile, if set, are the TLS certificate.
	CertFile, KeyFile string
	// Ready is told the address when requests are taken.
	Ready func(addr net.Addr)
	// Executable is the binary that becomes a sandbox; default this one.
	Executable string
}

// drain is how long what runs may go on after the stop.
const drain = 30 * time.Second

// Serve runs a server until ctx ends. Whatever is wrong with the configuration
// is said before anything is touched.
func Serve(ctx context.Context, cfg *config.Config, opts ServerOptions) (err error) {
	if err := server.CheckBind(cfg.ServerHost, cfg.APIAuthEnabled, cfg.AllowUnauthenticated); err != nil {
		return err
	}
	if cfg.DatabaseURL != "" {
		return job.Errorf(job.KindConfig, "database_url: this version keeps its records in SQLite only").WithHint("leave database_url out")
	}
	cert, err := certificate(opts)
	if err != nil {
		return err
	}
	var undo lifecycle.Undo
	defer func() { err = errors.Join(err, undo.Run()) }()
	listener, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	undo.Add(func() error { listener.Close(); return nil }) // the server has closed it, mostly
	s, err := newServed(ctx, cfg, opts, &undo)
	if err != nil {
		return err
	}
	options, err := api.OptionsFrom(cfg)
	if err != nil {
		return err
	}
	options.Version, options.Log = opts.Version, opts.Log
	return server.Run(ctx, server.Options{
		Listener: listener, Handler: api.New(options, s), TLS: cert, Jobs: s.Jobs, Drain: drain, Log: opts.Log,
		Background: []func(context.Context){s.cleanUp(cfg)},
		Ready: func() {
			s.SetReady(true)
			server.Notify("READY=1")
			opts.Ready(listener.Addr())
		},
		Stopping: func() {
			s.SetReady(false)
			server.Notify("STOPPING=1")
		},
	})
}

func certificate(opts ServerOptions) (*tls.Certificate, error) {
	if opts.CertFile == "" && opts.KeyFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile)
	if err != nil {
		return nil, job.Errorf(job.KindConfig, "the TLS certificate: %w", err).WithHint("give both --tls-cert and --tls-key, PEM files")
	}
	return &cert, nil
}

func listen(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	address := net.JoinHostPort(cfg.ServerHost, strconv.Itoa(cfg.ServerPort))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "listening on %s: %w", address, err).WithHint("choose another with --host and --port")
	}
	return l, nil
}

// served are the parts behind the API.
type served struct {
	*service.Service
	log *slog.Logger
}

// newServed builds them in the order in which they depend on each other.
func newServed(ctx context.Context, cfg *config.Config, opts ServerOptions, undo *lifecycle.Undo) (*served, error) {
	release, err := server.Lock(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	undo.Add(release)
	local, err := NewLocal(ctx, cfg, Options{Progress: opts.Progress, Log: opts.Log, Executable: opts.Executable})
	if err != nil {
		return nil, err
	}
	undo.Add(local.Close)
	if local.Leftovers != nil {
		opts.Log.Warn("not cleaned up", "error", local.Leftovers)
	}
	records, err := sqlite.Open(ctx, filepath.Join(cfg.DataDir, "db", "tako.db"), sqlite.Options{Logger: opts.Log})
	if err != nil {
		return nil, err
	}
	undo.Add(records.Close)
	blobs, err := disk.Open(disk.Options{Dir: filepath.Join(cfg.DataDir, "blobs")})
	if err != nil {
		return nil, err
	}
	undo.Add(blobs.Close)
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for this host's name: %w", err)
	}
	types := jobtype.New(cfg)
	slots := queue.NewSlots(queue.Budget{
		Slots: cfg.MaxWorkers, Reserved: min(1, cfg.MaxWorkers-1), Memory: memoryBudget(), Waiting: 16 * cfg.MaxWorkers,
	})
	jobs := queue.New(queue.Options{
		Store: records, Slots: slots, Types: types, Log: opts.Log,
		Executor: &attempt.Executor{Runner: local, Blobs: blobs, Engine: local.Engine.Info(), Host: host},
		Node:     store.Node{Name: host}, MaxQueue: cfg.MaxQueueSize, MaxTimeout: cfg.MaxTimeout,
		MaxAttempts: cfg.MaxRetryAttempts, RetryBase: time.Duration(cfg.RetryBaseDelay * float64(time.Second)),
		MaxEventLog: cfg.MaxEventLogBytes, Drain: drain,
	})
	return &served{log: opts.Log, Service: &service.Service{
		Jobs: jobs, Store: records, Blobs: blobs, Types: types, Slots: slots, Engine: local.Engine.Info(),
		MaxWorkers: cfg.MaxWorkers, MaxQueue: cfg.MaxQueueSize, MaxUpload: cfg.APIMaxUploadBytes, Log: opts.Log,
	}}, nil
}

// memoryBudget is what all sandboxes may have together: this machine's memory,
// less an eighth for everything else. 0 where it cannot be told.
func memoryBudget() int64 {
	total := hostMemory()
	return total - total/8
}

// Times of cleaning up.
const (
	cleanEvery = time.Hour
	uploadLife = 24 * time.Hour
	blobGrace  = time.Hour
	cleanBatch = 500
)

// cleanUp removes, once an hour, what is past its time: records, dead letters,
// uploads, and then the blobs that nobody refers to.
func (s *served) cleanUp(cfg *config.Config) func(context.Context) {
	return func(ctx context.Context) {
		tick := time.NewTicker(cleanEvery)
		defer tick.Stop()
		for {
			if err := s.clean(ctx, cfg, time.Now()); err != nil && ctx.Err() == nil {
				s.log.Error("cleaning up", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (s *served) clean(ctx context.Context, cfg *config.Config, now time.Time) error {
	day := 24 * time.Hour
	for {
		n, err := s.Store.DeleteBefore(ctx, now.Add(-time.Duration(cfg.ExecutionRecordTTLDays)*day), cleanBatch)
		if err != nil {
			return err
		}
		if n < cleanBatch {
			break
		}
	}
	if _, err := s.Store.DeleteDeadLettersBefore(ctx, now.Add(-time.Duration(cfg.DLQTTLDays)*day)); err != nil {
		return err
	}
	if _, err := s.Store.DeleteUploadsBefore(ctx, now.Add(-uploadLife)); err != nil {
		return err
	}
	_, err := artifact.Collect(ctx, s.Blobs, s.Store.Blobs, now, blobGrace)
	return err
}
