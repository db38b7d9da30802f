package benchmark

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sampled is of how many jobs of a row the record is looked at afterwards.
const sampled = 100

// tally is what a row is made of.
type tally struct {
	mu    sync.Mutex
	times []float64 // ms
	ids   []string
	row   Row
}

func (t *tally) add(took time.Duration, id string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.row.Jobs++
	if err != nil {
		t.row.Failed++
		if t.row.Said == "" {
			t.row.Said = err.Error()
		}
		return
	}
	t.times = append(t.times, took.Seconds()*1000)
	if len(t.ids) < sampled {
		t.ids = append(t.ids, id)
	}
}

// done fills in the row.
func (t *tally) done(ctx context.Context, v *server) (Row, error) {
	slices.Sort(t.times)
	t.row.P50, t.row.P95, t.row.P99 = quantile(t.times, 0.5), quantile(t.times, 0.95), quantile(t.times, 0.99)
	if v == nil {
		return t.row, nil
	}
	var peaks []float64
	t.row.Supplies = map[string]int{}
	for _, id := range t.ids {
		r, err := v.record(ctx, id)
		if err != nil {
			return t.row, err
		}
		t.row.Supplies[r.Supply]++
		peaks = append(peaks, r.PeakMB)
	}
	slices.Sort(peaks)
	t.row.PeakMB = quantile(peaks, 0.5)
	return t.row, nil
}

// quantile of sorted values: the smallest that so large a share is not above.
func quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(share*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// paced asks for one job at a time, each when the server is at rest: when a
// sandbox waits, if they do.
func (s *session) paced(ctx context.Context, v *server, name string, j job) error {
	s.Say(name)
	t := &tally{row: Row{Name: name, Clients: 1}}
	for range s.Requests {
		if _, err := v.settled(ctx); err != nil {
			return err
		}
		begun := time.Now()
		id, err := v.execute(ctx, j)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.add(time.Since(begun), id, err)
	}
	r, err := t.done(ctx, v)
	s.add(r)
	return err
}

// firstOutput is paced for the first byte that a client sees of a job that it
// submitted and listens to.
func (s *session) firstOutput(ctx context.Context, v *server) error {
	const name = "pool, first output"
	s.Say(name)
	t := &tally{row: Row{Name: name, Clients: 1}}
	for range s.Requests {
		if _, err := v.settled(ctx); err != nil {
			return err
		}
		took, err := v.firstByte(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.add(took, "", err)
	}
	t.ids = nil
	r, err := t.done(ctx, nil)
	s.add(r)
	return err
}

// idle measures what waits.
func (s *session) idle(ctx context.Context, v *server) error {
	pool, err := v.settled(ctx)
	if err == nil && pool.Ready > 0 {
		s.report.IdleMB = float64(pool.Memory) / float64(pool.Ready) / (1 << 20)
	}
	return err
}

// closedLoop has clients ask again as soon as they are answered.
func (v *server) closedLoop(ctx context.Context, name string, clients, requests int) (Row, error) {
	t := &tally{row: Row{Name: name, Clients: clients}}
	if _, err := v.settled(ctx); err != nil {
		return t.row, err
	}
	before, err := processorTime(v.cmd.Process.Pid)
	if err != nil {
		return t.row, err
	}
	var left atomic.Int64
	left.Store(int64(requests))
	begun := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				asked := time.Now()
				id, err := v.execute(ctx, job{})
				if ctx.Err() != nil {
					return
				}
				t.add(time.Since(asked), id, err)
			}
		})
	}
	all.Wait()
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
	if n := len(t.times); n > 0 {
		t.row.PerSecond = float64(n) / took.Seconds()
		t.row.CPU = (after - before).Seconds() * 1000 / float64(n)
	}
	return t.done(ctx, v)
}
