package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
)

// plant makes sandboxes that are none, and knows what became of them.
type plant struct {
	takes  time.Duration // to make one
	memory int64

	mu     sync.Mutex
	broken error
	boxes  []*box
	atOnce int // being made
	most   int
}

// box is a sandbox of a plant.
type box struct {
	engine.Sandbox
	id    string
	conn  net.Conn
	plant *plant
	ended chan struct{}
	gone  bool // destroyed
}

func (b *box) ID() string             { return b.id }
func (b *box) Control() net.Conn      { return b.conn }
func (b *box) Unenforced() []string   { return nil }
func (b *box) end()                   { close(b.ended) }
func (b *box) destroyed() (gone bool) { b.plant.mu.Lock(); defer b.plant.mu.Unlock(); return b.gone }
func (b *box) Stats(context.Context) (engine.Stats, error) {
	return engine.Stats{Memory: 10 + with(b.plant, func() int64 { return b.plant.memory })}, nil
}

func (b *box) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-b.ended:
		return engine.Exit{Cause: engine.CauseEngine}, nil
	default:
		return engine.Exit{}, ctx.Err()
	}
}

func (b *box) Destroy() error {
	b.plant.mu.Lock()
	defer b.plant.mu.Unlock()
	if b.gone {
		return errors.New("destroyed twice")
	}
	b.gone = true
	return b.conn.Close()
}

func (p *plant) make(ctx context.Context, snapshot string, _ Request, _ bool) (*Sandbox, error) {
	p.mu.Lock()
	p.atOnce++
	p.most = max(p.most, p.atOnce)
	err, n, takes := p.broken, len(p.boxes), p.takes
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.atOnce--; p.mu.Unlock() }()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	b := &box{id: fmt.Sprintf("%s-%d", snapshot, n), conn: theirs, plant: p, ended: make(chan struct{})}
	p.mu.Lock()
	p.boxes = append(p.boxes, b)
	p.mu.Unlock()
	return &Sandbox{Sandbox: b, Session: guest.NewSession(ours), Held: true, Supply: job.SupplyRestore}, nil
}

// with looks at a plant, or changes it, while it works.
func with[T any](p *plant, do func() T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return do()
}

func (p *plant) box(i int) *box { return with(p, func() *box { return p.boxes[i] }) }

// closed wants everything that was made gone.
func (p *plant) closed(t testing.TB, pool *Pool) {
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	for _, b := range with(p, func() []*box { return slices.Clone(p.boxes) }) {
		if !b.destroyed() {
			t.Errorf("%s is left", b.id)
		}
	}
}

// inPool runs a test in a bubble, with time of its own.
func inPool(t *testing.T, o PoolOptions, test func(t *testing.T, p *plant, pool *Pool)) {
	synctest.Test(t, func(t *testing.T) {
		p := &plant{takes: 60 * time.Millisecond}
		pool := newPool(p.make, o)
		defer p.closed(t, pool)
		synctest.Wait()
		test(t, p, pool)
	})
}

func request(memory int64) Request { return Request{Limits: job.Limits{Memory: memory, CPUs: 1}} }

func (p *Pool) mustTake(t testing.TB, key string) *Sandbox {
	t.Helper()
	b := p.Take(t.Context(), key, request(1))
	if b == nil {
		t.Fatalf("nothing is ready of %s: %+v", key, p.Stats(t.Context()))
	}
	return b
}

// A shape that is used has sandboxes wait, and gets another for each that is
// taken; what is warmed waits before anybody asks.
func TestPoolRefills(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, _ *plant, pool *Pool) {
		for range 2 { // once may be an accident
			if b := pool.Take(t.Context(), "a", request(1)); b != nil {
				t.Fatalf("%s was ready before anybody had asked", b.ID())
			}
			pass(time.Second)
		}
		pool.Warm("b", request(1), 1)
		pass(time.Second)
		seen := map[string]bool{}
		for range 20 {
			b := pool.mustTake(t, "a")
			if seen[b.ID()] {
				t.Errorf("%s was handed out twice", b.ID())
			}
			seen[b.ID()] = true
			pool.Retire(b)
			pass(time.Second)
		}
		pool.Retire(pool.mustTake(t, "b"))
		if st := pool.Stats(t.Context()); st.Hits != 21 || st.Misses != 2 || st.Ready < 2 || st.Memory != int64(10*st.Ready) || st.Refill < 60*time.Millisecond {
			t.Errorf("%+v", st)
		}
	})
}

// Shapes and limits are kept apart.
func TestPoolKeepsApart(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, _ *plant, pool *Pool) {
		pool.Warm("a", request(1), 2)
		pass(time.Second)
		if b := pool.Take(t.Context(), "a", request(2)); b != nil {
			t.Errorf("%s has other limits", b.ID())
		}
		if b := pool.Take(t.Context(), "b", request(1)); b != nil {
			t.Errorf("%s is of another shape", b.ID())
		}
	})
}

// Who comes while one is made gets that one, sooner than one of its own; who
// goes away meanwhile leaves it to others.
func TestPoolPromises(t *testing.T) {
	inPool(t, PoolOptions{Max: 1}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("a", request(1), 1)
		pass(headStart + 30*time.Millisecond) // it is being made
		hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if b := pool.Take(hurried, "a", request(1)); b != nil {
			t.Errorf("%s came to who was gone", b.ID())
		}
		begun := time.Now()
		pool.Retire(pool.mustTake(t, "a"))
		if took := time.Since(begun); took > 30*time.Millisecond {
			t.Errorf("waited for %v", took)
		}
		if most := with(p, func() int { return p.most }); most > 1 {
			t.Errorf("%d were made at once", most)
		}
	})
}

// A sandbox that died while it waited is not handed out.
func TestPoolDead(t *testing.T) {
	inPool(t, PoolOptions{Max: 2}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("a", request(1), 2)
		pass(time.Second)
		p.box(0).end()
		b := pool.mustTake(t, "a")
		if b.ID() != p.box(1).id {
			t.Errorf("got %s", b.ID())
		}
		pool.Retire(b)
		pass(time.Second)
		for _, b := range with(p, func() []*box { return slices.Clone(p.boxes[2:]) }) {
			b.end()
		}
		if b := pool.Take(t.Context(), "a", request(1)); b != nil {
			t.Errorf("%s is dead", b.ID())
		}
	})
}

// What cannot be made is not tried over and over, and promises are not kept
// waiting for it.
func TestPoolFails(t *testing.T) {
	inPool(t, PoolOptions{Max: 2}, func(t *testing.T, p *plant, pool *Pool) {
		p.broken = errors.New("no")
		pool.Warm("a", request(1), 1)
		pass(headStart + 30*time.Millisecond)
		if b := pool.Take(t.Context(), "a", request(1)); b != nil {
			t.Errorf("got %s", b.ID())
		}
		pass(failurePause / 2)
		if st := pool.Stats(t.Context()); st.Failed != 1 {
			t.Errorf("tried %d times", st.Failed)
		}
		p.mu.Lock()
		p.broken = nil
		p.mu.Unlock()
		pass(failurePause)
		pool.Retire(pool.mustTake(t, "a"))
	})
}

// A full pool gives the shape that is used what another had.
func TestPoolGivesWay(t *testing.T) {
	inPool(t, PoolOptions{Max: 5, MaxMemory: 3 * footprint}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("a", request(1), 3)
		pass(time.Second)
		for range 2 {
			pool.Take(t.Context(), "b", request(1))
			pass(time.Second)
		}
		if b := pool.Take(t.Context(), "b", request(1)); b != nil {
			t.Errorf("%s was taken from a shape that is in use", b.ID())
		}
		pass(inUse)
		pool.Take(t.Context(), "b", request(1))
		pass(time.Second)
		pool.Retire(pool.mustTake(t, "b"))
		pool.Retire(pool.mustTake(t, "b"))
		pass(time.Second)
		pool.Retire(pool.mustTake(t, "a")) // which is kept warm
		if st := pool.Stats(t.Context()); st.Max != 3 || st.Ready > 3 {
			t.Errorf("%+v", st)
		}
	})
}

// A sandbox that holds much counts as several, and leaves the others their place.
func TestPoolHeavy(t *testing.T) {
	inPool(t, PoolOptions{Max: 5, MaxMemory: 5 * footprint}, func(t *testing.T, p *plant, pool *Pool) {
		p.memory = 3*footprint - 10
		pool.Warm("heavy", request(1), 4)
		pass(time.Second)
		if st := pool.Stats(t.Context()); st.Ready != 1 {
			t.Errorf("of those that count as three: %+v", st)
		}
		p.mu.Lock()
		p.memory = 1
		p.mu.Unlock()
		pool.Warm("light", request(1), 4)
		pass(time.Second)
		if st := pool.Stats(t.Context()); st.Ready != 3 {
			t.Errorf("with those that count as one: %+v", st)
		}
		pool.Retire(pool.mustTake(t, "heavy"))
		pass(idleKeep)
	})
}

// What nobody uses goes, and what waits does not grow old.
func TestPoolRests(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("warm", request(1), 2)
		for range 4 {
			pool.Take(t.Context(), "a", request(1))
		}
		pass(time.Second)
		if st := pool.Stats(t.Context()); st.Ready < 5 {
			t.Errorf("at first: %+v", st)
		}
		pass(2 * idlePatience)
		if st := pool.Stats(t.Context()); st.Ready != 2 || st.Shapes != 2 {
			t.Errorf("after %v: %+v", 2*idlePatience, st)
		}
		pass(idleKeep)
		if st := pool.Stats(t.Context()); st.Ready != 1 || st.Shapes != 1 {
			t.Errorf("after %v: %+v", idleKeep, st)
		}
		pass(maxAge)
		if first := p.box(0); !first.destroyed() || pool.Stats(t.Context()).Ready != 1 {
			t.Errorf("%s is as old as it was", first.id)
		}
	})
}

// A pool without room has none wait.
func TestNoPool(t *testing.T) {
	inPool(t, PoolOptions{}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("a", request(1), 4)
		pool.Take(t.Context(), "a", request(1))
		pass(time.Minute)
		if n := with(p, func() int { return len(p.boxes) }); n > 0 {
			t.Errorf("%d were made", n)
		}
	})
}

// Whatever attempts do, none gets a sandbox that another had, no more wait than
// may, and nothing is left.
func TestPoolProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(0, 5).Draw(rt, "max")
		steps := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 40).Draw(rt, "steps")
		inPool(t, PoolOptions{Max: most}, func(t *testing.T, p *plant, pool *Pool) {
			var mu sync.Mutex
			had := map[string]bool{}
			var running sync.WaitGroup
			for _, step := range steps {
				running.Go(func() {
					b := pool.Take(t.Context(), fmt.Sprint("shape", step%3), request(int64(step%2)))
					if b == nil {
						return
					}
					mu.Lock()
					if had[b.ID()] {
						rt.Errorf("%s was handed out twice", b.ID())
					}
					had[b.ID()] = true
					mu.Unlock()
					pass(time.Duration(step) * time.Millisecond)
					pool.Retire(b)
				})
				pass(time.Duration(step) * 5 * time.Millisecond)
				if st := pool.Stats(t.Context()); st.Ready+st.Making > most {
					rt.Errorf("%+v", st)
				}
			}
			running.Wait()
		})
	})
}

// pass lets time go by, in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// A shape that is asked for all the time keeps nothing from being tidied up, and
// a flood of shapes takes nothing from one that is in use.
func TestPoolFlood(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("busy", request(1), 2)
		pass(time.Second)
		hits := 0
		for i := range 600 {
			for range 2 {
				if b := pool.Take(t.Context(), "flood", request(int64(2+i))); b != nil {
					pool.Retire(b)
				}
			}
			if i%3 == 0 {
				if b := pool.Take(t.Context(), "busy", request(1)); b != nil {
					hits++
					pool.Retire(b)
				}
			}
			pass(300 * time.Millisecond)
		}
		if st := pool.Stats(t.Context()); hits < 190 || st.Shapes > mostShapes {
			t.Errorf("%d of 200 hits, %+v", hits, st)
		}
	})
}

// What hangs is given up, and holds up neither those who wait nor the rest.
func TestPoolHangs(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, p *plant, pool *Pool) {
		with(p, func() any { p.takes = time.Hour; return nil })
		pool.Warm("a", request(1), 1)
		pass(time.Second)
		begun := time.Now()
		if b := pool.Take(t.Context(), "a", request(1)); b != nil || time.Since(begun) > promiseTime {
			t.Errorf("got %v after %v", b, time.Since(begun))
		}
		pass(makeTime)
		with(p, func() any { p.takes = time.Millisecond; return nil })
		pool.Warm("b", request(1), 1)
		pass(time.Second)
		pool.Retire(pool.mustTake(t, "b"))
	})
}

// What is not trusted any more is not handed out, what is being made included.
func TestPoolForgets(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("a", request(1), 2)
		pass(headStart + 90*time.Millisecond) // one waits, one is being made
		pool.Forget()
		pass(time.Second)
		if b := pool.Take(t.Context(), "a", request(1)); b != nil || with(p, func() int { return len(p.boxes) }) != 2 {
			t.Errorf("got %v", b)
		}
	})
}

// What holds much is gone before its attempt's slot is free.
func TestPoolRetires(t *testing.T) {
	inPool(t, PoolOptions{Max: 8}, func(t *testing.T, p *plant, pool *Pool) {
		pool.Warm("a", request(1), 2)
		pass(time.Second)
		with(p, func() any { p.memory = bigger; return nil })
		pool.Retire(pool.mustTake(t, "a"))
		if !p.box(0).destroyed() {
			t.Error("it is still there")
		}
		with(p, func() any { p.memory = 0; return nil })
		pool.Retire(pool.mustTake(t, "a"))
		if p.box(1).destroyed() {
			t.Error("the caller waited for it")
		}
	})
}
