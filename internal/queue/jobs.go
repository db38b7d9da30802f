package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/trace"
)

// Executor runs one attempt of a job and returns when its sandbox is gone.
type Executor interface {
	Run(ctx context.Context, rec *job.Record, t job.Type, log func(context.Context, []job.Event) error) job.Ended
}

// Types are the job types.
type Types interface {
	// Resolve finds a type by what a request says, "" being the default one.
	// Its error is the caller's: an unknown version, or in production mode an
	// unknown name.
	Resolve(ctx context.Context, ref string) (job.Type, error)
}

// Options configure Jobs. Store, Slots, Executor and Types are needed.
type Options struct {
	Store    store.Store
	Slots    *Slots
	Executor Executor
	Types    Types
	// Node names this server among those that share the database. Default
	// lease 30 s.
	Node store.Node
	// MaxQueue bounds jobs that wait; default 10,000.
	MaxQueue int
	// MaxTimeout bounds what a request or its type may ask for, in seconds;
	// default 300. MaxStartupTimeout bounds what a request may ask for until its
	// code starts; default 600.
	MaxTimeout, MaxStartupTimeout int
	// Most is what a request may raise its limits to, beyond its type's; a nil
	// field leaves only the type's.
	Most job.LimitRequest
	// MaxAttempts bounds attempts that failed for the infrastructure; default 2.
	// RetryBase is the wait before the second one, doubled for each further
	// one up to 30 s; default 1 s.
	MaxAttempts int
	RetryBase   time.Duration
	// MaxInterruptions is how often a job may be interrupted before it is given
	// up; default 5.
	MaxInterruptions int
	// MaxEventLog bounds the events of one job, in bytes; default 10 MiB.
	MaxEventLog int64
	// Drain is how long Stop lets running jobs go on; default 30 s.
	Drain time.Duration
	// Ended, if set, hears of every record that this server brought to its end.
	Ended func(r *job.Record)
	// Tracer gets a span for every attempt; nil traces nothing.
	Tracer *trace.Tracer
	Log    *slog.Logger
	Now    func() time.Time
}

func (o *Options) setDefaults() {
	defaultTo(&o.Node.Lease, 30*time.Second)
	defaultTo(&o.MaxQueue, 10_000)
	defaultTo(&o.MaxAttempts, 2)
	defaultTo(&o.RetryBase, time.Second)
	defaultTo(&o.MaxInterruptions, 5)
	o.Node.MaxInterruptions = o.MaxInterruptions
	defaultTo(&o.MaxEventLog, 10<<20)
	defaultTo(&o.Drain, 30*time.Second)
	defaultTo(&o.MaxTimeout, 300)
	defaultTo(&o.MaxStartupTimeout, 600)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func defaultTo[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Jobs accepts, runs and tells about jobs on one node.
type Jobs struct {
	opts    Options
	hub     hub
	breaker breaker

	taking  context.Context // ends when no more work is taken
	stop    context.CancelFunc
	working context.Context // ends when what runs has to end
	halt    context.CancelCauseFunc
	tasks   sync.WaitGroup // loops and sync attempts

	mu      sync.Mutex
	stopped bool
}

// New returns Jobs that take nothing before Start.
func New(opts Options) *Jobs {
	opts.setDefaults()
	j := &Jobs{opts: opts, breaker: breaker{now: opts.Now}}
	j.taking, j.stop = context.WithCancel(context.Background())
	j.working, j.halt = context.WithCancelCause(context.Background())
	return j
}

// now is the time that records get: in UTC, as exact as databases keep it.
func (j *Jobs) now() time.Time { return j.opts.Now().UTC().Truncate(time.Microsecond) }

// ended tells of a record that has ended.
func (j *Jobs) ended(r *job.Record) {
	if j.opts.Ended != nil && r.Status.Terminal() {
		j.opts.Ended(r)
	}
}
