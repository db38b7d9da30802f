// Package benchmark measures tako on the machine it runs on, beside whatever
// else runs code there: it starts servers of its own, asks them over HTTP as a
// client would, and removes all of it.
//
// What is compared is measured in the same run, in turn, since machines are
// shared and noisy; figures of one run are to be read as ratios. What is not
// installed is not measured, and says so.
package benchmark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// code is the job that is measured.
const code = "print(1+1)"

// answer is what it prints.
const answer = "2\n"

// Options say what to measure.
type Options struct {
	// Tako is the binary.
	Tako string
	// Requests of each row, at least; a row of n clients makes n at least.
	Requests int
	Clients  []int
	// Say is told what is being done, a line at a time; nil is nobody.
	Say func(string)
}

// Row is one way to run the job.
type Row struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	Jobs    int    `json:"jobs"`
	Failed  int    `json:"failed"`
	// Milliseconds from the request to its answer.
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	// PerSecond is what was completed a second, where clients ask without pause.
	PerSecond float64 `json:"jobs_per_second,omitempty"`
	// Supplies count where sandboxes came from: pool, restore, cold.
	Supplies map[string]int `json:"supplies,omitempty"`
	// CPU is processor time of tako and its sandboxes for each job, in
	// milliseconds: their making and removal included, and that of sandboxes
	// that were made to wait.
	CPU float64 `json:"cpu_ms_per_job,omitempty"`
	// PeakMB is the most memory that a job's own processes held, the median.
	PeakMB float64 `json:"peak_mb_per_job,omitempty"`
	// Ratio is P50 over that of the host's python3.
	Ratio float64 `json:"p50_over_python3,omitempty"`
	// Other is what is not tako.
	Other bool `json:"other,omitempty"`
	// Missing says why nothing was measured.
	Missing string `json:"not_measured,omitempty"`
	// Said is the first failure.
	Said string `json:"said,omitempty"`
}

// Report is what was found.
type Report struct {
	Machine  Machine `json:"machine"`
	Workers  int     `json:"max_workers"`
	Requests int     `json:"requests_per_row"`
	// IdleMB is what a sandbox that waits is charged for: its kernel's memory,
	// the interpreter, page tables; without what is shared.
	IdleMB float64   `json:"idle_mb_per_sandbox,omitempty"`
	Rows   []Row     `json:"rows"`
	Begun  time.Time `json:"begun"`
	Took   float64   `json:"seconds"`
}

// Failed reports whether any job did.
func (r *Report) Failed() bool {
	for _, row := range r.Rows {
		if row.Failed > 0 {
			return true
		}
	}
	return false
}

// session is one run.
type session struct {
	Options
	report Report
	dir    string // everything temporary
}

// Run measures. Its report has what was measured before an error.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	s := &session{Options: o, report: Report{Machine: machine(), Requests: o.Requests, Workers: workers(o.Clients), Begun: time.Now()}}
	defer func() { s.report.Took = time.Since(s.report.Begun).Seconds() }()
	if s.dir, err = os.MkdirTemp("", "tako-bench-"); err != nil {
		return &s.report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	for _, part := range []func(context.Context) error{s.rivals, s.pooled, s.unpooled} {
		if err := part(ctx); err != nil {
			return &s.report, err
		}
	}
	s.compare()
	return &s.report, nil
}

// compare fills in the ratios.
func (s *session) compare() {
	var python float64
	for _, r := range s.report.Rows {
		if r.Name == pythonRow {
			python = r.P50
		}
	}
	for i := range s.report.Rows {
		if r := &s.report.Rows[i]; python > 0 {
			r.Ratio = r.P50 / python
		}
	}
}

func (s *session) add(r Row) { s.report.Rows = append(s.report.Rows, r) }

// pooled measures a server whose sandboxes wait.
func (s *session) pooled(ctx context.Context) error {
	return s.with(ctx, true, func(srv *server) error {
		if err := s.paced(ctx, srv, "pool, paced", job{}); err != nil {
			return err
		}
		if err := s.firstOutput(ctx, srv); err != nil {
			return err
		}
		if err := s.idle(ctx, srv); err != nil {
			return err
		}
		return s.closedLoops(ctx, srv, "pool, closed loop")
	})
}

// unpooled measures one whose sandboxes are made when a job comes.
func (s *session) unpooled(ctx context.Context) error {
	return s.with(ctx, false, func(srv *server) error {
		if err := s.paced(ctx, srv, "restored, paced", job{}); err != nil {
			return err
		}
		// A variable of its own is there from the interpreter's start, so nothing
		// can be prepared for it.
		if err := s.paced(ctx, srv, "cold, paced", job{Env: map[string]string{"COLD": "1"}}); err != nil {
			return err
		}
		return s.closedLoops(ctx, srv, "restored, closed loop")
	})
}

func (s *session) with(ctx context.Context, pool bool, do func(*server) error) (err error) {
	srv, err := s.start(ctx, pool)
	if err != nil {
		return fmt.Errorf("starting a server to measure: %w", err)
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	for range 4 { // the snapshot is made for the second
		if _, err := srv.execute(ctx, job{}); err != nil {
			return fmt.Errorf("a first job: %w", err)
		}
	}
	return do(srv)
}

func (s *session) closedLoops(ctx context.Context, srv *server, name string) error {
	for _, n := range s.Clients {
		s.Say(fmt.Sprintf("%s, %d clients", name, n))
		r, err := srv.closedLoop(ctx, name, n, max(s.Requests, 2*n))
		if err != nil {
			return err
		}
		s.add(r)
	}
	return nil
}

func (s *session) data() string { return filepath.Join(s.dir, "data") }
