package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
	"github.com/takovm/tako/internal/store"
)

// Deliveries is the part of a store.Store that a Dispatcher needs.
type Deliveries interface {
	ClaimDelivery(ctx context.Context, now time.Time, lease time.Duration, except ...string) (store.Delivery, error)
	SaveDelivery(ctx context.Context, d store.Delivery) error
}

// Options configure a Dispatcher. Deliveries, Build and one of Guard and
// Transport are needed.
type Options struct {
	Deliveries Deliveries
	// Build makes what is sent for a delivery's job or batch. It is called for
	// each try and has 10 seconds. What is not there any more (store.ErrNotFound
	// or job.KindNotFound) is given up; another error is a failed try.
	Build func(ctx context.Context, d store.Delivery) (Message, error)
	// Guard judges the addresses that are called.
	Guard *netguard.Guard
	// Transport carries the requests in place of the one that dials through
	// Guard. For tests.
	Transport http.RoundTripper
	// AllowHTTP lets URLs without TLS be called.
	AllowHTTP bool
	// Wake has an element when there may be a delivery that is due; it is not
	// closed. Nil is never.
	Wake <-chan struct{}
	// Concurrency is how many tries are made at once, at most; an owner has half
	// of them at most, and less while others have some. Default 32.
	Concurrency int
	// Poll is how often the store is looked at without a signal: for deliveries
	// of an earlier life and of other servers. Default 15 seconds.
	Poll time.Duration
	// Timeout is what a try has in all. Default 10 seconds.
	Timeout time.Duration
	// GiveUp is the time from the creation of a delivery after which no
	// further try is made. Default 24 hours.
	GiveUp time.Duration
	// Drain is how long tries that are under way may go on when Run is to end.
	// Default 5 seconds.
	Drain time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Random answers numbers from 0 to 1 for jitter. Default math/rand/v2.
	Random func() float64
	// Log hears of failures, in full. Default: nobody does.
	Log *slog.Logger
}

const (
	// minLease hides a delivery while its message is built, a try is made and
	// the outcome is saved; a longer Timeout makes it longer.
	minLease = time.Minute
	saveTime = 10 * time.Second
)

// What becomes of a delivery.
const (
	pending   = "pending"
	delivered = "delivered"
	failed    = "failed"
)

// Dispatcher delivers webhooks.
type Dispatcher struct {
	o      Options
	client *http.Client
	agenda *agenda
	shares *shares
}

// New makes a Dispatcher. It panics without Deliveries, Build, or a way to
// connect: that is a defect of the wiring.
func New(o Options) *Dispatcher {
	if o.Deliveries == nil || o.Build == nil || o.Guard == nil && o.Transport == nil {
		panic("webhook: New without Deliveries, Build, or Guard")
	}
	if o.Transport == nil {
		o.Transport = transport(o.Guard)
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 32
	}
	setDefault(&o.Poll, 15*time.Second)
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.GiveUp, 24*time.Hour)
	setDefault(&o.Drain, 5*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = random
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{o: o, client: client(o.Transport), agenda: newAgenda(), shares: newShares(o.Concurrency)}
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// Run delivers until ctx ends, and returns when the last try has ended: those
// that are under way have Drain to get an answer, and are left to the next start
// otherwise. Run may be called once.
func (d *Dispatcher) Run(ctx context.Context) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var tries sync.WaitGroup
	slots := make(chan struct{}, d.o.Concurrency)
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		del, err := d.o.Deliveries.ClaimDelivery(ctx, d.o.Now(), max(minLease, 4*d.o.Timeout), d.shares.used()...)
		if err == nil {
			d.shares.begin(del.Owner)
			tries.Go(func() {
				defer func() { <-slots }()
				d.try(work, del)
				d.shares.end(del.Owner)
				d.agenda.look()
			})
			continue
		}
		<-slots
		if !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			d.o.Log.Warn("webhooks cannot be claimed", "error", err)
		}
		d.wait(ctx)
	}
	drain(&tries, d.o.Drain, stop)
}

// wait returns when there may be something to do.
func (d *Dispatcher) wait(ctx context.Context) {
	timer := time.NewTimer(d.agenda.next(d.o.Now(), d.o.Poll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.o.Wake:
	case <-d.agenda.changed:
	}
}

// drain waits for the tries, and stops them when they take longer.
func drain(tries *sync.WaitGroup, patience time.Duration, stop func()) {
	timer := time.AfterFunc(patience, stop)
	defer timer.Stop()
	tries.Wait()
}

// try makes one try and saves what came of it.
func (d *Dispatcher) try(ctx context.Context, del store.Delivery) {
	status, err := d.attempt(ctx, del)
	now := d.o.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		// We stop. Nobody failed: the next start makes this try.
		del.NextAt = now
	case err == nil:
		del.Tries++
		del.Status, del.LastStatus, del.LastError, del.DeliveredAt = delivered, status, "", now
	default:
		del.Tries++
		del.LastStatus, del.LastError = status, describe(err, d.o.Timeout)
		d.putOff(&del, err, now)
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err := d.o.Deliveries.SaveDelivery(save, del); err != nil {
		// It comes back when its lease is over.
		d.o.Log.Warn("the outcome of a webhook was not saved", "delivery", del.ID, "error", err)
		return
	}
	if del.Status == pending {
		d.agenda.add(del.NextAt)
	}
}

// attempt builds the message and sends it.
func (d *Dispatcher) attempt(ctx context.Context, del store.Delivery) (status int, err error) {
	build, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	m, err := d.o.Build(build, del)
	if err != nil {
		return 0, &buildError{err}
	}
	return d.send(ctx, del, m)
}

// buildError is a message that could not be made. Its text is for owners, who
// have no business with the database; the log gets the cause.
type buildError struct{ err error }

func (e *buildError) Error() string { return "what is to be sent could not be read" }

// gone reports that there is nothing to send any more.
func (e *buildError) gone() bool {
	return errors.Is(e.err, store.ErrNotFound) || job.KindOf(e.err) == job.KindNotFound
}

// putOff decides when a delivery is tried again, if ever.
func (d *Dispatcher) putOff(del *store.Delivery, err error, now time.Time) {
	del.Status = pending
	del.NextAt = now.Add(waitAfter(del.Tries, d.o.Random()))
	cause := err
	var build *buildError
	if errors.As(err, &build) {
		cause = fmt.Errorf("building it: %w", build.err)
	}
	switch {
	case build != nil && build.gone():
		del.Status, del.LastError = failed, "what is to be sent was deleted"
	case errors.Is(err, errURL), del.NextAt.After(del.CreatedAt.Add(d.o.GiveUp)):
		del.Status = failed
	}
	d.o.Log.Info("a webhook was not delivered", "delivery", del.ID, "tries", del.Tries, "status", del.Status,
		"next", del.NextAt, "error", cause)
}
