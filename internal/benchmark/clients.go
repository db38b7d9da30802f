package benchmark

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// ask has the server run a job: how long it took, and the id of its record.
type ask func(context.Context) (time.Duration, string, error)

// answers is about jobs' answers, firstOutputs about what is seen before.
func (v *server) answers(q request) ask {
	return func(ctx context.Context) (time.Duration, string, error) {
		begun := time.Now()
		id, err := v.execute(ctx, q)
		return time.Since(begun), id, err
	}
}

func (v *server) firstOutputs(q request) ask {
	return func(ctx context.Context) (time.Duration, string, error) { return v.firstByte(ctx, q) }
}

// load is what several clients ask of a server.
type load struct {
	clients int
	asks    int // of all of them; when paced, at least one of each
	// rate is how many a second all of them ask, each at even intervals from a
	// moment of its own on. 0 is a closed loop: they ask as soon as they are
	// answered.
	rate float64
	ask  ask
}

// under measures the server under a load.
func (v *server) under(ctx context.Context, name string, l load) (Row, error) {
	t := &tally{row: Row{Name: name, Clients: l.clients}}
	if _, err := v.settled(ctx); err != nil {
		return t.row, err
	}
	before, err := processorTime(v.cmd.Process.Pid)
	if err != nil {
		return t.row, err
	}
	begun := time.Now()
	if l.rate > 0 {
		l.paced(ctx, t)
	} else {
		l.closed(ctx, t)
	}
	took := time.Since(begun)
	if ctx.Err() != nil {
		return t.row, context.Cause(ctx)
	}
	if _, err := v.settled(ctx); err != nil { // until what was done is removed, and counted
		return t.row, err
	}
	after, err := processorTime(v.cmd.Process.Pid)
	if err != nil {
		return t.row, fmt.Errorf("reading tako's processor time: %w", err)
	}
	if n := len(t.jobs); n > 0 {
		t.row.PerSecond = float64(n) / took.Seconds()
		t.row.CPU = (after - before).Seconds() * 1000 / float64(n)
	}
	return t.finish(ctx, v)
}

// closed is a closed loop.
func (l load) closed(ctx context.Context, t *tally) {
	var left atomic.Int64
	left.Store(int64(l.asks))
	var all sync.WaitGroup
	for range l.clients {
		all.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				l.once(ctx, t, 0)
			}
		})
	}
	all.Wait()
}

// paced is an open loop: who asks late because the answer before was late
// counts that as well.
func (l load) paced(ctx context.Context, t *tally) {
	interval := time.Duration(float64(l.clients) / l.rate * float64(time.Second))
	// The same moments in each run: they are uneven, not random.
	moments := rand.New(rand.NewPCG(uint64(l.clients), 0))
	begun := time.Now()
	var all sync.WaitGroup
	for range l.clients {
		due := begun.Add(time.Duration(moments.Int64N(int64(interval))))
		all.Go(func() {
			for range (l.asks + l.clients - 1) / l.clients {
				late := max(0, time.Since(due))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					return
				}
				l.once(ctx, t, late)
				due = due.Add(interval)
			}
		})
	}
	all.Wait()
}

// once asks, as late as that.
func (l load) once(ctx context.Context, t *tally, late time.Duration) {
	took, id, err := l.ask(ctx)
	if ctx.Err() == nil {
		t.add(late+took, id, err)
	}
}
