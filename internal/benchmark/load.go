package benchmark

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// paced asks for one job at a time, each when the server is at rest: when a
// sandbox waits, if they do. The host's python3 runs before each, so that both
// see the same machine.
func (s *session) paced(ctx context.Context, v *server, name string, q request) error {
	s.Say(name)
	t, python := &tally{row: Row{Name: name, Clients: 1}}, &tally{}
	for range s.Requests {
		if _, err := v.settled(ctx); err != nil {
			return err
		}
		if s.python.missing == "" {
			ran, err := s.python.run(ctx, s.dir)
			python.add(ran.wall, "", err)
		}
		begun := time.Now()
		id, err := v.execute(ctx, q)
		took := time.Since(begun)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.add(took, id, err)
	}
	r, err := t.finish(ctx, v)
	if err != nil {
		return err
	}
	beside, err := python.finish(ctx, nil)
	if err != nil {
		return err
	}
	r.Python = beside.P50
	r.PeakMB, err = s.peak(ctx, v, q)
	s.add(r)
	return err
}

// firstOutput is paced for the first byte that a client sees of a job that it
// submitted and listens to. Half as many do.
func (s *session) firstOutput(ctx context.Context, v *server, name string, q request) error {
	s.Say(name)
	t := &tally{row: Row{Name: name, Clients: 1}}
	for range (s.Requests + 1) / 2 {
		if _, err := v.settled(ctx); err != nil {
			return err
		}
		took, id, err := v.firstByte(ctx, q)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.add(took, id, err)
	}
	if _, err := v.settled(ctx); err != nil { // the last record is complete then
		return err
	}
	r, err := t.finish(ctx, v)
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

// loop is one of clients that ask again as soon as they are answered.
type loop struct {
	clients, requests int
	request           request
}

func (v *server) closedLoop(ctx context.Context, name string, l loop) (Row, error) {
	t := &tally{row: Row{Name: name, Clients: l.clients}}
	if _, err := v.settled(ctx); err != nil {
		return t.row, err
	}
	before, err := processorTime(v.cmd.Process.Pid)
	if err != nil {
		return t.row, err
	}
	begun := time.Now()
	l.run(ctx, v, t)
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

func (l loop) run(ctx context.Context, v *server, t *tally) {
	var left atomic.Int64
	left.Store(int64(l.requests))
	var all sync.WaitGroup
	for range l.clients {
		all.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				asked := time.Now()
				id, err := v.execute(ctx, l.request)
				took := time.Since(asked)
				if ctx.Err() != nil {
					return
				}
				t.add(took, id, err)
			}
		})
	}
	all.Wait()
}
