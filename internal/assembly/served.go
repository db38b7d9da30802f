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
	"github.com/takovm/tako/internal/sandbox"
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
	slots := newSlots(cfg)
	policies, err := Egress(cfg, nil)
	if err != nil {
		return nil, err
	}
	if policies.Authority, err = egress.NewAuthority(); err != nil { // for job types that may come
		return nil, err
	}
	secrets := vault(cfg, records)
	jobs := queue.New(queue.Options{
		Store: records, Slots: slots, Types: types, Log: opts.Log, Ended: s.hasEnded, Tracer: s.tracer,
		Executor: &attempt.Executor{Runner: local, Blobs: accepted, Engine: engine, Host: node.Name, Environments: local, Packages: cfg.AllowRuntimeRequirements, Images: cfg.AllowRequestImages,
			Egress: policies, Secrets: secrets, Trust: sync.OnceValue(func() *runner.Trust { return Trusted(policies.Authority, opts.Log) }), Log: opts.Log, PerKey: cfg.SnapshotSharing == "per_key"},
		Node: store.Node{Name: node.Name}, MaxQueue: cfg.MaxQueueSize, MaxTimeout: cfg.MaxTimeout,
		MaxStartupTimeout: cfg.MaxStartupTimeout, Most: most(cfg),
		MaxAttempts: cfg.MaxRetryAttempts, RetryBase: time.Duration(cfg.RetryBaseDelay * float64(time.Second)),
		MaxEventLog: cfg.MaxEventLogBytes, Drain: drain,
	})
	s.Service = &service.Service{
		Jobs: jobs, Store: records, Blobs: blobs, Types: types, Builder: local, Egress: policies, Secrets: secrets, Slots: slots, Engine: engine,
		MaxWorkers: cfg.MaxWorkers, MaxQueue: cfg.MaxQueueSize, MaxUpload: cfg.APIMaxUploadBytes, Room: s.room, Log: opts.Log,
	}
	if err := s.warm(ctx, local, types); err != nil {
		return nil, err
	}
	s.watch(cfg)
	return s, nil
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

// most is what a request may raise its limits to.
func most(cfg *config.Config) job.LimitRequest {
	memory, disk := int64(cfg.MaxMemory), int64(cfg.MaxDisk)
	return job.LimitRequest{
		Memory: &memory, Disk: &disk, CPUs: &cfg.MaxCPUs, PIDs: &cfg.MaxPIDs,
		Stdout: &cfg.MaxStdoutBytes, Stderr: &cfg.MaxStderrBytes, Artifact: &cfg.MaxArtifactBytes,
	}
}

func newSlots(cfg *config.Config) *queue.Slots {
	return queue.NewSlots(queue.Budget{
		Slots: cfg.MaxWorkers, Reserved: min(1, cfg.MaxWorkers-1), Memory: memoryBudget(cfg), Waiting: 16 * cfg.MaxWorkers,
	})
}

// poolOptions size the pool; without room for one sandbox there is none.
func poolOptions(cfg *config.Config, log *slog.Logger) sandbox.PoolOptions {
	o := sandbox.PoolOptions{Max: cfg.WarmPoolSize, MaxMemory: int64(cfg.WarmPoolMemory), Log: log}
	if o.MaxMemory <= 0 {
		o.Max = 0
	}
	return o
}

// memoryBudget is what all sandboxes that run may have together: what is
// configured, or this machine's memory less an eighth for everything else, less
// what those that wait may hold, though at most half of it. 0, no bound, where
// it cannot be told.
func memoryBudget(cfg *config.Config) int64 {
	all := int64(cfg.MemoryBudget)
	if all <= 0 {
		total := hostMemory()
		all = total - total/8
	}
	if cfg.WarmPoolSize == 0 {
		return all
	}
	return all - min(int64(cfg.WarmPoolMemory), all/2)
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
