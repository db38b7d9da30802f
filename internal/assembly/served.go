package assembly

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/artifact/s3"
	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
	"github.com/takovm/tako/internal/metrics"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/server"
	"github.com/takovm/tako/internal/service"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/sqlite"
	"github.com/takovm/tako/internal/trace"
)

// served are the parts behind the API.
type served struct {
	*service.Service
	metrics *metrics.Metrics
	tracer  *trace.Tracer // nil without a collector
	space   func() (free, kept int64, err error)
	ended   chan struct{} // has an element when a webhook may be due
	log     *slog.Logger
}

// newServed builds them in the order in which they depend on each other.
func newServed(ctx context.Context, cfg *config.Config, opts ServerOptions, undo *lifecycle.Undo) (*served, error) {
	local, err := onlyLocal(ctx, cfg, opts, undo)
	if err != nil {
		return nil, err
	}
	records, err := OpenStore(ctx, cfg, opts.Log)
	if err != nil {
		return nil, err
	}
	undo.Add(records.Close)
	s := &served{log: opts.Log, ended: make(chan struct{}, 1)}
	blobs, accepted, err := s.openBlobs(cfg, undo)
	if err != nil {
		return nil, err
	}
	s.warn(cfg)
	engine := local.Engine.Info()
	s.metrics = metrics.New(opts.Version, engine.Name, engine.Version)
	node, err := server.Node(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if cfg.OTLPEndpoint != "" {
		s.tracer = trace.New(trace.Options{Endpoint: cfg.OTLPEndpoint, Version: opts.Version, Host: node.Host, Log: opts.Log})
	}
	types, err := s.types(cfg, records)
	if err != nil {
		return nil, err
	}
	executor, err := s.executor(cfg, local)
	if err != nil {
		return nil, err
	}
	secrets := vault(cfg, records)
	executor.Blobs, executor.Host, executor.Secrets = accepted, node.Name, secrets
	slots := newSlots(cfg)
	s.Service = &service.Service{
		Jobs:  s.queue(cfg, queue.Options{Store: records, Slots: slots, Types: types, Executor: executor, Node: store.Node{Name: node.Name}}),
		Store: records, Blobs: blobs, Types: types, Builder: local, Egress: executor.Egress, Secrets: secrets, Slots: slots, Engine: engine,
		MaxWorkers: cfg.MaxWorkers, MaxQueue: cfg.MaxQueueSize, MaxUpload: cfg.APIMaxUploadBytes, Room: s.room, Log: opts.Log,
	}
	if err := s.warm(ctx, local, types); err != nil {
		return nil, err
	}
	s.watch(cfg)
	return s, nil
}

// onlyLocal is what runs attempts on this machine, for the one server that uses
// this data directory.
func onlyLocal(ctx context.Context, cfg *config.Config, opts ServerOptions, undo *lifecycle.Undo) (*Local, error) {
	release, err := server.Lock(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	undo.Add(release)
	local, err := NewLocal(ctx, cfg, Options{
		Progress: opts.Progress, Log: opts.Log, Executable: opts.Executable,
		Pool: poolOptions(cfg, opts.Log),
	})
	if err != nil {
		return nil, err
	}
	undo.Add(local.Close)
	if local.Leftovers != nil {
		opts.Log.Warn("not cleaned up", "error", local.Leftovers)
	}
	return local, nil
}

// executor makes attempts of records. Its certificates are there for job types
// with secrets that may come.
func (s *served) executor(cfg *config.Config, local *Local) (*attempt.Executor, error) {
	policies, err := Egress(cfg, nil)
	if err != nil {
		return nil, err
	}
	if policies.Authority, err = egress.NewAuthority(); err != nil {
		return nil, err
	}
	return &attempt.Executor{
		Runner: local, Environments: local, Engine: local.Engine.Info(), Egress: policies, Log: s.log,
		Packages: cfg.AllowRuntimeRequirements, Images: cfg.AllowRequestImages, PerKey: cfg.SnapshotSharing == "per_key",
		Trust: sync.OnceValue(func() *runner.Trust { return Trusted(policies.Authority, s.log) }),
	}, nil
}

// queue adds to o what the configuration says.
func (s *served) queue(cfg *config.Config, o queue.Options) *queue.Jobs {
	o.Log, o.Ended, o.Tracer = s.log, s.hasEnded, s.tracer
	o.MaxQueue, o.MaxTimeout, o.MaxStartupTimeout, o.Most = cfg.MaxQueueSize, cfg.MaxTimeout, cfg.MaxStartupTimeout, most(cfg)
	o.MaxAttempts, o.RetryBase = cfg.MaxRetryAttempts, time.Duration(cfg.RetryBaseDelay*float64(time.Second))
	o.MaxEventLog, o.Drain = cfg.MaxEventLogBytes, drain
	return queue.New(o)
}

// warn tells of what works for one server and not for two. Nobody but the
// operator can know how many there are to be.
func (s *served) warn(cfg *config.Config) {
	if cfg.DatabaseURL != "" && cfg.BlobURL == "" {
		s.log.Warn("records are in PostgreSQL and files on this machine's disk: one server may use this database; "+
			"several need a blob_url that they share, or jobs fail for files that another server has", "files", filepath.Join(cfg.DataDir, "blobs"))
	}
}

// OpenStore opens the database that the configuration names.
func OpenStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (store.Store, error) {
	if cfg.DatabaseURL != "" {
		return postgres.Open(ctx, cfg.DatabaseURL.Reveal(), postgres.Options{Logger: log, Fault: fault()})
	}
	file := databaseFile(cfg)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, job.Errorf(job.KindUnavailable, "making the folder of the database: %w", err)
	}
	return sqlite.Open(ctx, file, sqlite.Options{Logger: log, Fault: fault()})
}

// openBeside opens the database for a command that may work beside a server. It
// brings nothing up to date under that.
func openBeside(ctx context.Context, cfg *config.Config) (store.Store, error) {
	check := func() error { return sqlite.CheckSchema(ctx, databaseFile(cfg)) }
	if cfg.DatabaseURL != "" {
		check = func() error { return postgres.CheckSchema(ctx, cfg.DatabaseURL.Reveal()) }
	}
	if err := check(); err != nil {
		return nil, err
	}
	return OpenStore(ctx, cfg, slog.New(slog.DiscardHandler))
}

// databaseFile is where SQLite keeps its database.
func databaseFile(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "db", "tako.db") }

// openBlobs opens where files are kept, and the same for those of jobs that were
// accepted. The disk below the data directory is watched in any case: the
// database is there.
func (s *served) openBlobs(cfg *config.Config, undo *lifecycle.Undo) (blobs, accepted artifact.Store, err error) {
	reserve := reserveOf(cfg)
	local, err := disk.Open(disk.Options{Dir: filepath.Join(cfg.DataDir, "blobs"), Reserve: reserve})
	if err != nil {
		return nil, nil, err
	}
	undo.Add(local.Close)
	s.space = local.Space
	if cfg.BlobURL == "" {
		return local, local.Accepted(), nil
	}
	o, err := s3.Parse(cfg.BlobURL)
	if err != nil {
		return nil, nil, err
	}
	o.AccessKey, o.SecretKey, o.SessionToken = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")
	o.Spool = disk.Options{Dir: filepath.Join(cfg.DataDir, "spool"), Reserve: reserve}
	bucket, err := s3.Open(o)
	if err != nil {
		return nil, nil, err
	}
	undo.Add(bucket.Close)
	return bucket, bucket.Accepted(), nil
}

// reserveOf is what stays free of the data directory's disk.
func reserveOf(cfg *config.Config) disk.Reserve {
	reserve := disk.Reserve{Bytes: int64(cfg.DiskReserve), Percent: cfg.DiskReservePercent}
	if reserve == (disk.Reserve{}) {
		reserve.Bytes = -1
	}
	return reserve
}

// room refuses new work while there is hardly any room on the disk: what was
// accepted has to be stored to its end.
func (s *served) room() error {
	free, kept, err := s.space()
	if err != nil {
		return err
	}
	if free < kept {
		return job.Errorf(job.KindUnavailable, "The disk of the server is nearly full, try again later").
			WithHint("%d MiB are free and %d MiB are kept free (disk_reserve, disk_reserve_percent)", free>>20, kept>>20)
	}
	return nil
}

// hasEnded counts a record, and wakes who delivers webhooks.
func (s *served) hasEnded(r *job.Record) {
	s.metrics.Ended(r)
	s.log.Info("job ended", "job", r.ID, "status", r.Status, "ended_by", r.Outcome.EndedBy.Actor, "attempt", r.Attempt,
		"ms", ranFor(r).Milliseconds(), "correlation_id", r.CorrelationID)
	select {
	case s.ended <- struct{}{}:
	default: // it was woken already
	}
}

// watch lets metrics ask for the state of now.
func (s *served) watch(cfg *config.Config) {
	s.metrics.Watch(metrics.State{
		Stats: s.Store.Stats,
		Slots: func() (total, used, waiting int, memory int64) {
			u := s.Slots.Usage()
			return cfg.MaxWorkers, u.Running, u.Waiting, u.Memory
		},
		Warm: func() (ready, wanted int, hits, misses, failed int64, refill time.Duration) {
			w := s.Sandboxes(context.Background())
			return w.Ready, w.Wanted, w.Hits, w.Misses, w.Failed, w.Refill
		},
		Breaker: func() string { return string(s.Jobs.Breaker().State) },
		Disk:    s.space,
	})
}

// background are the loops of the server: cleanup and webhooks.
func (s *served) background(cfg *config.Config) []func(context.Context) {
	loops := []func(context.Context){s.cleanUp(cfg)}
	if s.tracer != nil {
		loops = append(loops, s.tracer.Run)
	}
	deliver, err := s.webhooks(cfg)
	if err != nil {
		s.log.Error("webhooks are not delivered", "error", fmt.Errorf("making their guard: %w", err))
		return loops
	}
	return append(loops, deliver.Run)
}

// ranFor is how long the last attempt took; 0 for what never ran.
func ranFor(r *job.Record) time.Duration {
	if r.StartedAt.IsZero() {
		return 0
	}
	return r.EndedAt.Sub(r.StartedAt)
}
