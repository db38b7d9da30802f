package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

const (
	// patience is for how long an idle shape keeps more than one sandbox ready;
	// keep, for how long it keeps that one.
	idlePatience = time.Minute
	idleKeep     = 15 * time.Minute
	// maxAge is how old a ready sandbox may become: snapshots are replaced, and
	// so is what came out of them.
	maxAge = 30 * time.Minute
	// headStart is what an attempt gets before its sandbox is replaced, and what
	// its answer gets before its sandbox is destroyed: both cost more than most
	// attempts do.
	headStart = 50 * time.Millisecond
	// least is how many are kept ready of a shape that is in use.
	least = 2
	// failurePause is how long a shape is left alone that could not be restored.
	failurePause = time.Minute
)

// PoolOptions size a pool.
type PoolOptions struct {
	// Max bounds the sandboxes that wait, of all shapes together; 0 keeps none.
	Max int
	// MaxMemory bounds what they hold together by an estimate, in bytes; 0 is
	// no bound.
	MaxMemory int64
	// Log is told what could not be made ready.
	Log *slog.Logger
}

// footprint is what a ready sandbox holds, about: its kernel's memory and what
// the interpreter has written since it was restored.
const footprint = 32 << 20

// Pool keeps sandboxes ready, each restored from its shape's snapshot with the
// program held in it, so that an attempt of that shape begins at once. Each is
// used once. A shape gets its first sandbox when an attempt asks for one that
// is not there, and one more each time that happens; it loses them again as it
// is used less.
//
// What two attempts may not share is in the shape: see engine.Shape, the held
// program and the limits, which a waiting sandbox has been launched with.
type Pool struct {
	restore func(ctx context.Context, snapshot string, r Request) (*Sandbox, error)
	opts    PoolOptions
	max     int

	stop   context.CancelFunc
	making context.Context // ends with the pool
	wake   chan struct{}
	tasks  sync.WaitGroup

	mu     sync.Mutex
	shapes map[string]*shape
	closed bool
	hits   int64
	misses int64
	made   int64
	failed int64
	took   time.Duration // of the last one made
}

// shape is what is ready of one shape.
type shape struct {
	snapshot string // its key
	request  Request
	ready    []*waiting      // the oldest first
	promised []chan *Sandbox // to whom what is being made goes; at most making
	making   int
	want     int // how many should be ready
	used     time.Time
	shrunk   time.Time // when want was lowered last
	after    time.Time // before then none is made: it failed
}

type waiting struct {
	box  *Sandbox
	made time.Time
}

// NewPool returns a pool that makes sandboxes ready until Close.
func NewPool(s *Supplier, o PoolOptions) *Pool {
	return newPool(s.restoreSoon, o)
}

func newPool(restore func(context.Context, string, Request) (*Sandbox, error), o PoolOptions) *Pool {
	p := &Pool{restore: restore, opts: o, max: o.Max, wake: make(chan struct{}, 1), shapes: map[string]*shape{}}
	if o.MaxMemory > 0 {
		p.max = min(p.max, int(o.MaxMemory/footprint))
	}
	if p.opts.Log == nil {
		p.opts.Log = slog.New(slog.DiscardHandler)
	}
	p.making, p.stop = context.WithCancel(context.Background())
	p.tasks.Go(p.refill)
	return p
}

// Take returns a sandbox that waits for an attempt of this shape, or that is
// nearly ready; nil when there is none. The caller destroys it.
func (p *Pool) Take(ctx context.Context, snapshot string, r Request) *Sandbox {
	for {
		box, soon := p.take(snapshot, r)
		if soon != nil {
			box = p.await(ctx, soon)
		}
		if box == nil || box.alive() {
			return box
		}
		p.Retire(box) // it died while it waited
	}
}

// take answers a sandbox, or a promise of the one that is being made.
func (p *Pool) take(snapshot string, r Request) (*Sandbox, chan *Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.signal()
	if p.closed || p.max <= 0 {
		return nil, nil
	}
	s := p.shape(snapshot, r)
	if len(s.ready) > 0 {
		p.hits++
		w := s.ready[0]
		s.ready = slices.Delete(s.ready, 0, 1)
		return w.box, nil
	}
	p.misses++
	s.want = min(max(s.want+1, least), p.max)
	s.shrunk = s.used
	if s.making <= len(s.promised) {
		return nil, nil
	}
	soon := make(chan *Sandbox, 1)
	s.promised = append(s.promised, soon)
	return nil, soon
}

// await waits for what was promised; nil if it could not be made.
func (p *Pool) await(ctx context.Context, soon chan *Sandbox) *Sandbox {
	select {
	case box := <-soon:
		return box
	case <-ctx.Done():
	}
	p.mu.Lock()
	for _, s := range p.shapes {
		s.promised = slices.DeleteFunc(s.promised, func(c chan *Sandbox) bool { return c == soon })
	}
	p.mu.Unlock()
	select {
	case box := <-soon: // it came meanwhile
		if box != nil {
			p.Retire(box)
		}
	default:
	}
	return nil
}

// keep adds a sandbox to those that wait, or hands it to whom it was promised;
// nil keeps those promises that cannot be kept. The caller holds the lock.
func (s *shape) keep(box *Sandbox, now time.Time) {
	if len(s.promised) > 0 {
		s.promised[0] <- box
		s.promised = slices.Delete(s.promised, 0, 1)
		return
	}
	if box != nil {
		s.ready = append(s.ready, &waiting{box, now})
	}
}

// shape finds a shape, or adds it, and notes that it is used. The caller holds
// the lock.
func (p *Pool) shape(snapshot string, r Request) *shape {
	key := poolKey(snapshot, r)
	s := p.shapes[key]
	if s == nil {
		s = &shape{snapshot: snapshot, shrunk: time.Now()}
		p.shapes[key] = s
	}
	s.request, s.used = r, time.Now()
	return s
}

// Warm has sandboxes of a shape made ready before anybody asks for one.
func (p *Pool) Warm(snapshot string, r Request, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shape(snapshot, r)
	s.want = max(s.want, min(n, p.max))
	p.signal()
}

func (p *Pool) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// refill makes one sandbox after the other, so that those which run keep the
// machine, and takes away those that nobody asks for.
func (p *Pool) refill() {
	tick := time.NewTicker(idlePatience / 4)
	defer tick.Stop()
	for {
		for p.fillOne() {
		}
		select {
		case <-p.wake:
			p.rest()
		case <-tick.C:
			p.shrink()
		case <-p.making.Done():
			return
		}
	}
}

// rest leaves the machine to the attempt that has just taken a sandbox: most are
// over before another could be made.
func (p *Pool) rest() {
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.making.Done():
	}
}

// fillOne makes a sandbox of the shape that lacks one and was used last; false
// when none lacks any.
func (p *Pool) fillOne() bool {
	key, s := p.lacking()
	if s == nil || p.making.Err() != nil {
		return false
	}
	begun := time.Now()
	box, err := p.restore(p.making, s.snapshot, s.request)
	none := errors.Is(err, errBusy) // somebody makes the snapshot
	p.mu.Lock()
	s.making--
	if err == nil && !p.closed && p.shapes[key] == s {
		s.keep(box, time.Now())
		p.made, p.took = p.made+1, time.Now().Sub(begun)
		box = nil
	} else {
		s.keep(nil, time.Now())
	}
	if err != nil && !none {
		p.failed++
		s.after = time.Now().Add(failurePause)
	}
	p.mu.Unlock()
	if box != nil {
		p.destroy(box)
	}
	if err != nil && !none && p.making.Err() == nil {
		p.opts.Log.Warn("no sandbox could be made ready", "error", err)
	}
	return !none
}

// lacking chooses the shape to make a sandbox of, and counts it as being made.
// With the pool full, one of the shape that was not used for longest gives way.
func (p *Pool) lacking() (key string, s *shape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := 0
	for k, c := range p.shapes {
		all += len(c.ready) + c.making
		if len(c.ready)+c.making < c.want && !time.Now().Before(c.after) && (s == nil || c.used.After(s.used)) {
			key, s = k, c
		}
	}
	if s == nil || (all >= p.max && !p.giveWay(s)) {
		return "", nil
	}
	s.making++
	return key, s
}

// giveWay takes a sandbox from the shape that was used before s and has rested
// longest. The caller holds the lock.
func (p *Pool) giveWay(s *shape) bool {
	var oldest *shape
	for _, c := range p.shapes {
		if c != s && len(c.ready) > 0 && c.used.Before(s.used) && (oldest == nil || c.used.Before(oldest.used)) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	oldest.want = max(0, oldest.want-1)
	p.dismiss(oldest, 1)
	return true
}

// dismiss destroys the first n that wait. The caller holds the lock.
func (p *Pool) dismiss(s *shape, n int) {
	for _, w := range s.ready[:n] {
		p.retire(w.box)
	}
	s.ready = slices.Delete(s.ready, 0, n)
}

// shrink lets shapes go that are not used, and sandboxes that are old.
func (p *Pool) shrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for key, s := range p.shapes {
		old := 0
		for old < len(s.ready) && now.Sub(s.ready[old].made) > maxAge {
			old++
		}
		p.dismiss(s, old)
		switch rested := now.Sub(s.used); {
		case rested > idleKeep:
			p.dismiss(s, len(s.ready))
			if s.making == 0 {
				delete(p.shapes, key)
			}
			s.want = 0
		case rested > idlePatience:
			s.want = min(s.want, 1)
		case now.Sub(s.shrunk) > idlePatience && s.want > least: // it had enough for long
			s.want--
			s.shrunk = now
		}
		if more := len(s.ready) - s.want; more > 0 {
			p.dismiss(s, more)
		}
	}
	p.signal()
}

// Retire destroys a sandbox that has done its work, while the caller goes on.
func (p *Pool) Retire(box *Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(box)
}

func (p *Pool) retire(box *Sandbox) {
	p.tasks.Go(func() {
		p.rest()
		p.destroy(box)
	})
}

func (p *Pool) destroy(box *Sandbox) {
	if err := box.Destroy(); err != nil {
		p.opts.Log.Warn("something of a sandbox is left", "sandbox", box.ID(), "error", err)
	}
}

// Close destroys what waits, and returns when all of it is gone.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, s := range p.shapes {
		p.dismiss(s, len(s.ready))
	}
	p.mu.Unlock()
	p.stop() // what is being made ends, and with it the promises
	p.tasks.Wait()
	return nil
}

// PoolStats are a pool's counts since it was made, and what it holds now.
type PoolStats struct {
	Ready, Making, Want, Max int
	Shapes                   int
	Hits, Misses             int64
	Made, Failed             int64
	// Refill is how long the last one took to be made.
	Refill time.Duration
	// Memory is what those that wait hold, as their groups count it; 0 where
	// nobody counts.
	Memory int64
}

// Stats counts.
func (p *Pool) Stats(ctx context.Context) PoolStats {
	p.mu.Lock()
	st := PoolStats{Max: p.max, Shapes: len(p.shapes), Hits: p.hits, Misses: p.misses, Made: p.made, Failed: p.failed, Refill: p.took}
	var boxes []*Sandbox
	for _, s := range p.shapes {
		st.Ready += len(s.ready)
		st.Making += s.making
		st.Want += s.want
		for _, w := range s.ready {
			boxes = append(boxes, w.box)
		}
	}
	p.mu.Unlock()
	for _, box := range boxes {
		if used, err := box.Stats(ctx); err == nil {
			st.Memory += used.Memory
		}
	}
	return st
}

// alive reports whether the sandbox's process runs.
func (s *Sandbox) alive() bool {
	ended, cancel := context.WithCancel(context.Background())
	cancel() // asks, and does not wait
	_, err := s.Sandbox.Wait(ended)
	return err != nil
}

// poolKey names what the sandboxes of a pool have in common: a snapshot's key,
// and the limits that are set when a sandbox is started.
func poolKey(key string, r Request) string {
	return fmt.Sprintf("%s %d %g", key, r.Limits.Memory, r.Limits.CPUs)
}

// pooled is a sandbox out of the pool, if there is one.
func (s *Supplier) pooled(ctx context.Context, key string, r Request) *Sandbox {
	if s.Pool == nil {
		return nil
	}
	box := s.Pool.Take(ctx, key, r)
	if box != nil {
		box.Supply = job.SupplyPool
	}
	return box
}
