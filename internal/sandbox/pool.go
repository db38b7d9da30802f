package sandbox

import (
	"context"
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
	// makeTime bounds the making of one, and promiseTime waiting for it: an
	// attempt restores its own then.
	makeTime    = 30 * time.Second
	promiseTime = time.Second
	// inUse is how long after an attempt a shape gives none away.
	inUse = 5 * time.Second
	// mostShapes bounds what is known of shapes: callers choose them.
	mostShapes = 64
	// mostRetiring and bigger bound what is left for a moment: more at once, or
	// one that holds more bytes, goes before the attempt's slot is free.
	mostRetiring = 8
	bigger       = 2 * footprint
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

// footprint is what an ordinary sandbox that is ready holds, about: its kernel's
// memory and what the interpreter has written since it was restored. One that
// holds more, of preloaded modules, counts as several.
const footprint = 32 << 20

// Pool keeps sandboxes ready, each restored from its shape's snapshot with the
// program held in it, so that an attempt of that shape begins at once. Each is
// used once. A shape gets sandboxes when a second attempt asks for one within a
// minute, and one more each time that there is none; it loses them again as it
// is used less. What is used keeps what it has; only what rests gives way.
//
// What two attempts may not share is in the shape: see engine.Shape, the held
// program and the limits, which a waiting sandbox has been launched with.
type Pool struct {
	restore restorer
	opts    PoolOptions
	max     int

	stop   context.CancelFunc
	making context.Context // ends with the pool
	wake   chan struct{}
	tasks  sync.WaitGroup

	mu       sync.Mutex
	shapes   map[string]*shape
	closed   bool
	retiring int
	hits     int64
	misses   int64
	made     int64
	failed   int64
	took     time.Duration // of the last one made
}

// shape is what is ready of one shape.
type shape struct {
	snapshot string // its key
	request  Request
	warm     bool            // wanted before anybody asks; keeps one in any case
	ready    []*waiting      // the oldest first
	promised []chan *Sandbox // to whom what is being made goes; at most making
	making   int
	want     int // how many should be ready
	heavy    int // how many ordinary ones one of it counts as, beyond itself; by the last that was made
	used     time.Time
	uses     int       // lately: a quarter of them is forgotten at every look
	shrunk   time.Time // when want was lowered last
	after    time.Time // before then none is made: it failed
}

type waiting struct {
	box  *Sandbox
	made time.Time
}

// NewPool returns a pool that makes sandboxes ready until Close.
func NewPool(s *Supplier, o PoolOptions) *Pool {
	return newPool(s.restoreFor, o)
}

// restorer makes a sandbox; with warm, its snapshot too.
type restorer func(ctx context.Context, snapshot string, r Request, warm bool) (*Sandbox, error)

func newPool(restore restorer, o PoolOptions) *Pool {
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
	s, again := p.shape(snapshot, r)
	p.dismiss(s, s.old(s.used))
	if len(s.ready) > 0 {
		p.hits++
		w := s.ready[0]
		s.ready = slices.Delete(s.ready, 0, 1)
		return w.box, nil
	}
	p.misses++
	if again {
		s.want = min(max(s.want+1, least), p.max)
		s.shrunk = s.used
	}
	if s.making <= len(s.promised) {
		return nil, nil
	}
	soon := make(chan *Sandbox, 1)
	s.promised = append(s.promised, soon)
	return nil, soon
}

// await waits for what was promised; nil if it could not be made.
func (p *Pool) await(ctx context.Context, soon chan *Sandbox) *Sandbox {
	timer := time.NewTimer(promiseTime)
	defer timer.Stop()
	select {
	case box := <-soon:
		return box
	case <-timer.C:
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

// shape finds a shape, or adds it, and notes that it is used. Again reports that
// it was used within the last minute, too. The caller holds the lock.
func (p *Pool) shape(snapshot string, r Request) (s *shape, again bool) {
	key, now := poolKey(snapshot, r), time.Now()
	if s = p.shapes[key]; s == nil {
		p.forgetOne()
		s = &shape{snapshot: snapshot, shrunk: now}
		p.shapes[key] = s
	}
	again = now.Sub(s.used) < idlePatience
	s.uses++
	s.request, s.used = r, now
	return s, again
}

// forgetOne makes room for one more shape. The caller holds the lock.
func (p *Pool) forgetOne() {
	if len(p.shapes) < mostShapes {
		return
	}
	oldest := ""
	for key, s := range p.shapes {
		if !s.warm && s.making == 0 && (oldest == "" || s.used.Before(p.shapes[oldest].used)) {
			oldest = key
		}
	}
	if s := p.shapes[oldest]; s != nil {
		p.dismiss(s, len(s.ready))
		delete(p.shapes, oldest)
	}
}

// old counts those at the front that are too old.
func (s *shape) old(now time.Time) (n int) {
	for n < len(s.ready) && now.Sub(s.ready[n].made) > maxAge {
		n++
	}
	return n
}

// Warm has sandboxes of a shape made ready before anybody asks for one.
func (p *Pool) Warm(snapshot string, r Request, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, _ := p.shape(snapshot, r)
	s.warm, s.want = true, max(s.want, min(n, p.max))
	p.signal()
}

// Forget lets all go that wait or are being made: what they came from is not
// trusted any more.
func (p *Pool) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, s := range p.shapes {
		p.dismiss(s, len(s.ready))
		delete(p.shapes, key)
	}
}

func (p *Pool) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Retire destroys a sandbox that has done its work: while the caller goes on, if
// it holds little and few others are on their way.
func (p *Pool) Retire(box *Sandbox) {
	used, err := box.Stats(p.making)
	p.mu.Lock()
	little := err == nil && used.Memory < bigger && p.retiring < mostRetiring && !p.closed
	if little {
		p.retire(box)
	}
	p.mu.Unlock()
	if !little {
		p.destroy(box)
	}
}

// retire destroys a sandbox soon. The caller holds the lock.
func (p *Pool) retire(box *Sandbox) {
	p.retiring++
	p.tasks.Go(func() {
		p.rest()
		p.destroy(box)
		p.mu.Lock()
		p.retiring--
		p.mu.Unlock()
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
// the limits that are set when a sandbox is started, and whether it has a
// network. Which policy that has comes with the attempt.
func poolKey(key string, r Request) string {
	return fmt.Sprintf("%s %d %g %t", key, r.Limits.Memory, r.Limits.CPUs, r.Linked)
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
