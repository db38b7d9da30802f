package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// wantedPackages is what a job with packages may take beside one without.
const wantedPackages = 1.2

// packages is what the installation of wheels took, and jobs that have them.
type packages struct {
	First      float64 `json:"first_run_seconds"`
	Again      float64 `json:"next_run_seconds"`
	AskedFirst int64   `json:"first_run_requests_of_the_index"`
	AskedAgain int64   `json:"next_run_requests_of_the_index"`
	Pip        float64 `json:"pip_on_the_host_seconds,omitempty"`
	NoPip      string  `json:"pip_on_the_host_not_measured,omitempty"` // why
	// Jobs were measured of each kind; Hits of all of them found a sandbox waiting.
	Jobs     int         `json:"jobs"`
	Hits     int64       `json:"pool_hits"`
	PlainMS  percentiles `json:"plain_job_ms"`
	PackedMS percentiles `json:"job_with_packages_ms"`
}

// packages measures an installation out of an index on loopback, beside pip's own
// on the host from the same one, and jobs that have what was installed.
func (s *session) packages(ctx context.Context, o options) error {
	dir := filepath.Join(s.dir, "wheels")
	names, err := makeWheels(dir)
	if err != nil {
		return err
	}
	x := serveIndex(dir)
	defer x.Close()
	config := filepath.Join(s.dir, "packages.yaml")
	text := fmt.Sprintf("package_index_url: %q\nmax_workers: 2\njob_types:\n  - {name: packed, requirements: [%s]}\n", x.url(), strings.Join(names, ", "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	p := &packages{}
	if err := s.install(ctx, p, x, config, names); err != nil {
		return err
	}
	if err := s.pip(ctx, p, x, names); err != nil {
		return err
	}
	if err := s.packedJobs(ctx, o, p, config); err != nil {
		return err
	}
	s.report.Packages = p
	s.printPackages(p)
	return nil
}

// install runs the trivial job with the packages, twice: the second finds them.
func (s *session) install(ctx context.Context, p *packages, x *index, config string, names []string) error {
	args := []string{"-q", "--config", config}
	for _, n := range names {
		args = append(args, "--with", n)
	}
	for _, to := range []struct {
		seconds *float64
		asked   *int64
	}{{&p.First, &p.AskedFirst}, {&p.Again, &p.AskedAgain}} {
		before := x.asked.Load()
		m, err := s.run(ctx, s.takoCommand(append(args, "-c", trivial)...))
		if err == nil {
			err = m.answered()
		}
		if err != nil {
			return fmt.Errorf("a run with packages: %w", err)
		}
		*to.seconds, *to.asked = m.Wall.Seconds(), x.asked.Load()-before
	}
	return nil
}

// pip installs the same on the host, where there is a pip.
func (s *session) pip(ctx context.Context, p *packages, x *index, names []string) error {
	pip := func(args ...string) command {
		return command{path: "/usr/bin/python3", args: append([]string{"-m", "pip"}, args...), dir: s.dir, limit: 2 * time.Minute,
			env: append(s.environ(), "PIP_CONFIG_FILE="+os.DevNull)} // this machine's may name other indexes
	}
	m, err := s.run(ctx, pip("--version"))
	if err != nil || m.ExitCode != 0 {
		p.NoPip = "the host has no pip"
		return ctx.Err()
	}
	m, err = s.run(ctx, pip(append([]string{"install", "--quiet", "--index-url", x.url(), "--no-cache-dir", "--disable-pip-version-check",
		"--target", filepath.Join(s.dir, "site")}, names...)...))
	if err == nil && m.ExitCode != 0 {
		err = fmt.Errorf("exit code %d, it said %.500q", m.ExitCode, m.Stderr)
	}
	if err != nil {
		return fmt.Errorf("pip on the host: %w", err)
	}
	p.Pip = m.Wall.Seconds()
	return nil
}

// packedJobs measures jobs of a server with and without packages, in turn, each
// when a sandbox waits for it.
func (s *session) packedJobs(ctx context.Context, o options, p *packages, config string) error {
	srv, err := s.startServer(ctx, "TAKO_VM_CONFIG="+config)
	if err != nil {
		return err
	}
	defer srv.stop()
	kinds := [2]struct {
		body map[string]any
		ms   []float64
	}{{body: map[string]any{"code": trivial}}, {body: map[string]any{"code": trivial, "job_type": "packed"}}}
	const adopted = 4 // runs until both have sandboxes that wait
	var hits int64
	for i := range adopted + o.starts {
		if i == adopted {
			if hits, err = srv.hits(ctx); err != nil {
				return err
			}
		}
		for j := range kinds {
			k := &kinds[(i+j)%2] // neither is always the one after the other
			if err := srv.rested(ctx); err != nil {
				return err
			}
			var a struct{ Success bool }
			begun := time.Now()
			err := srv.api.call(ctx, http.MethodPost, "/execute", k.body, &a)
			took := time.Since(begun)
			if err == nil && !a.Success {
				err = fmt.Errorf("a job failed: %v", k.body)
			}
			if err != nil {
				return err
			}
			if i >= adopted {
				k.ms = append(k.ms, took.Seconds()*1000)
			}
		}
	}
	after, err := srv.hits(ctx)
	p.Jobs, p.Hits = o.starts, after-hits
	p.PlainMS, p.PackedMS = percentilesOf(kinds[0].ms), percentilesOf(kinds[1].ms)
	return err
}

// hits is how many jobs have found a sandbox that waited.
func (v *server) hits(ctx context.Context) (int64, error) {
	var stats struct {
		Sandboxes struct{ Hits int64 }
	}
	err := v.api.call(ctx, http.MethodGet, "/pool/stats", nil, &stats)
	return stats.Sandboxes.Hits, err
}

// rested waits until the server makes and removes no sandboxes.
func (v *server) rested(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; quiet < 8; {
		var stats struct {
			Sandboxes struct{ Ready, Making, Wanted int }
		}
		if err := v.api.call(ctx, "GET", "/pool/stats", nil, &stats); err != nil {
			return err
		}
		if quiet++; stats.Sandboxes.Making > 0 || stats.Sandboxes.Ready < stats.Sandboxes.Wanted {
			quiet = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *session) printPackages(p *packages) {
	s.table(fmt.Sprintf("%d packages out of an index on loopback", wheels), func(row func(string, ...any)) {
		row("\tgot\twanted")
		row("first run, which installs them, s\t%.2f\t-", p.First)
		row("the next one, s\t%.2f\t-", p.Again)
		row("requests of the index, first run\t%d\t-", p.AskedFirst)
		row("requests of the index, the next one\t%d\t0", p.AskedAgain)
		pip := "not measured: " + p.NoPip
		if p.NoPip == "" {
			pip = fmt.Sprintf("%.2f", p.Pip)
		}
		row("pip install on the host, s\t%s\t-", pip)
		row("a job of a server without packages, p50 ms\t%.1f\t-", p.PlainMS.P50)
		row("a job that has them, p50 ms\t%.1f\t-", p.PackedMS.P50)
		row("ratio\t%.2f\tat most %.1f", p.PackedMS.P50/p.PlainMS.P50, wantedPackages)
	})
	s.printf("  %d jobs of each kind, in turn; %d of the %d found a sandbox that waited.\n", p.Jobs, p.Hits, 2*p.Jobs)
}
