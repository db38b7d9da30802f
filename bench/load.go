package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// batch is many runs of the trivial job, Width of them at a time.
type batch struct {
	Runs      int       `json:"runs"`
	Width     int       `json:"at_once"`
	Failed    int       `json:"failed"`
	Seconds   float64   `json:"seconds"`
	PerSecond float64   `json:"runs_per_second"`
	WallMS    spread    `json:"wall_ms"`
	CPUMS     spread    `json:"cpu_ms"`
	Before    leftovers `json:"left_before"`
	After     leftovers `json:"left_after"`
	Said      string    `json:"said,omitempty"` // by the first that failed
}

func (s *session) load(ctx context.Context, o options) error {
	for _, b := range []batch{{Runs: o.serial, Width: 1}, {Runs: o.parallel, Width: o.parallel}} {
		b.Before = s.leftovers()
		if err := s.runBatch(ctx, &b); err != nil {
			return err
		}
		b.After = s.leftovers()
		s.report.Load = append(s.report.Load, b)
	}
	s.printLoad(s.report.Load)
	return nil
}

// one is the end of one run of a batch.
type one struct {
	measured
	err error
}

func (s *session) runBatch(ctx context.Context, b *batch) error {
	begun := time.Now()
	var list []measured
	for r := range s.runMany(ctx, b.Runs, b.Width) {
		s.pids[r.PID] = true
		if r.err != nil {
			b.Failed++
			if b.Said == "" {
				b.Said = r.err.Error()
			}
			continue
		}
		list = append(list, r.measured)
	}
	b.Seconds = time.Since(begun).Seconds()
	b.PerSecond = float64(len(list)) / b.Seconds
	b.WallMS = spreadOf(milliseconds(list, func(m measured) time.Duration { return m.Wall }))
	b.CPUMS = spreadOf(milliseconds(list, func(m measured) time.Duration { return m.CPU }))
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("none of %d runs ended well: %s", b.Runs, b.Said)
	}
	return nil
}

// runMany runs the trivial job, width at a time. The channel is closed after
// the last of them.
func (s *session) runMany(ctx context.Context, runs, width int) <-chan one {
	todo := make(chan struct{}, runs)
	for range runs {
		todo <- struct{}{}
	}
	close(todo)
	done := make(chan one)
	var workers sync.WaitGroup
	for range width {
		workers.Go(func() {
			for range todo {
				m, err := s.takoCommand("-c", trivial).run(ctx)
				if err == nil {
					err = m.answered()
				}
				done <- one{m, err}
			}
		})
	}
	go func() { workers.Wait(); close(done) }()
	return done
}
