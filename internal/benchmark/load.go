package benchmark

import (
	"context"
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
