package benchmark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/takovm/tako/internal/engine/cgroup"
	"github.com/takovm/tako/internal/job"
)

// session is one run.
type session struct {
	Options
	report Report
	dir    string       // everything temporary
	groups *cgroup.Tree // where sandboxes are counted; nil if nowhere
	python rival
}

// Run measures. Its report has what was measured before an error.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	s := &session{Options: o, python: python(), report: Report{Machine: machine(), Tako: o.Version, Engine: o.Engine, Mode: o.SecurityMode,
		Requests: o.Requests, Workers: workers(o.Clients), Begun: time.Now()}}
	defer func() { s.report.Took = time.Since(s.report.Begun).Seconds() }()
	if s.dir, err = os.MkdirTemp("", "tako-bench-"); err != nil {
		return &s.report, job.Errorf(job.KindUnavailable, "making a temporary directory: %w", err).WithHint("set TMPDIR to one that can be written")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return &s.report, err
	}
	if s.groups = cgroup.Detect("/sys/fs/cgroup", string(own)); s.groups != nil {
		defer func() { err = errors.Join(err, s.groups.Close()) }()
	}
	defer s.compare()
	for _, part := range []func(context.Context) error{s.others, s.pooled, s.unpooled} {
		if err := part(ctx); err != nil {
			return &s.report, err
		}
	}
	return &s.report, nil
}

// wants reports whether one of these parts is to be measured.
func (s *session) wants(parts ...string) bool {
	return len(s.Only) == 0 || slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(s.Only, p) })
}

// compare fills in the ratios.
func (s *session) compare() {
	var alone float64
	for _, r := range s.report.Rows {
		if r.Name == pythonRow {
			alone = r.P50
		}
	}
	for i := range s.report.Rows {
		r := &s.report.Rows[i]
		if beside := r.Python; beside > 0 {
			r.Ratio = r.P50 / beside
		} else if alone > 0 {
			r.Ratio = r.P50 / alone
		}
	}
}

// add puts a row behind those of its name.
func (s *session) add(r Row) {
	rows := &s.report.Rows
	at := len(*rows)
	for i, other := range *rows {
		if other.Name == r.Name {
			at = i + 1
		}
	}
	*rows = slices.Insert(*rows, at, r)
}

// pooled measures a server whose sandboxes wait.
func (s *session) pooled(ctx context.Context) error {
	if !s.wants(Pool) {
		return nil
	}
	return s.with(ctx, true, func(srv *server) error {
		if err := s.one(ctx, srv, "pool", request{}); err != nil {
			return err
		}
		if err := s.idle(ctx, srv); err != nil {
			return err
		}
		return s.several(ctx, srv, "pool", request{})
	})
}

// unpooled measures one whose sandboxes are made when a job comes.
func (s *session) unpooled(ctx context.Context) error {
	if !s.wants(Restore, Cold) {
		return nil
	}
	return s.with(ctx, false, func(srv *server) error {
		for _, kind := range []struct {
			part, name string
			request    request
		}{
			{Restore, "restored", request{}},
			// A variable of its own is there from the interpreter's start, so nothing
			// can be prepared for it.
			{Cold, "cold", request{Env: map[string]string{"COLD": "1"}}},
		} {
			if !s.wants(kind.part) {
				continue
			}
			if err := s.one(ctx, srv, kind.name, kind.request); err != nil {
				return err
			}
			if err := s.several(ctx, srv, kind.name, kind.request); err != nil {
				return err
			}
		}
		return nil
	})
}

// one measures what a single client sees that does not hurry.
func (s *session) one(ctx context.Context, srv *server, name string, q request) error {
	if err := s.paced(ctx, srv, name+", paced", q); err != nil {
		return err
	}
	return s.firstOutput(ctx, srv, name+", first output", q)
}

func (s *session) with(ctx context.Context, pool bool, do func(*server) error) (err error) {
	s.Say("the start of a server")
	srv, err := s.start(ctx, pool)
	if err != nil {
		return job.Errorf(job.KindUnavailable, "starting a server to measure: %w", err).WithHint("tako doctor says what this host lacks")
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	for range 4 { // the snapshot is made for the second
		if _, err := srv.execute(ctx, request{}); err != nil {
			return fmt.Errorf("a first job: %w", err) // it has a hint of its own
		}
	}
	return do(srv)
}

// several measures what several clients see: in closed loops, and at half the
// rate that those came to, which the server has time for.
func (s *session) several(ctx context.Context, srv *server, name string, q request) error {
	var most float64
	for _, n := range s.Clients {
		r, err := s.under(ctx, srv, name+", closed loop", load{clients: n, asks: max(s.Requests, 2*n), ask: srv.answers(q)})
		if err != nil {
			return err
		}
		most = max(most, r.PerSecond)
	}
	if most == 0 {
		return nil // nothing but failures, which the rows tell
	}
	for _, n := range s.Clients {
		if n == 1 {
			continue // was measured at the server's rest
		}
		l := load{clients: n, asks: s.Requests, rate: most / 2, ask: srv.answers(q)}
		if _, err := s.under(ctx, srv, name+", paced", l); err != nil {
			return err
		}
		l.asks, l.ask = (s.Requests+1)/2, srv.firstOutputs(q)
		if _, err := s.under(ctx, srv, name+", first output", l); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) under(ctx context.Context, srv *server, name string, l load) (Row, error) {
	s.Say(fmt.Sprintf("%s, %d clients", name, l.clients))
	r, err := srv.under(ctx, name, l)
	if err == nil {
		s.add(r)
	}
	return r, err
}

func (s *session) data() string { return filepath.Join(s.dir, "data") }
