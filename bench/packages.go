package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takovm/tako/internal/takotest"
)

const (
	// wheels is how many packages are installed.
	wheels = 20
	// wantedPackages is what a job with packages may take beside one without.
	wantedPackages = 1.2
)

// packages is what the installation of wheels took, and jobs that have them.
type packages struct {
	First    float64     `json:"first_run_seconds"`
	Again    float64     `json:"next_run_seconds"`
	Pip      float64     `json:"pip_on_the_host_seconds,omitempty"`
	PlainMS  percentiles `json:"plain_job_ms"`
	PackedMS percentiles `json:"job_with_packages_ms"`
}

func (s *session) packages(ctx context.Context, o options) error {
	dir := filepath.Join(s.dir, "wheels")
	names, err := makeWheels(dir)
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "packages.yaml")
	text := fmt.Sprintf("package_offline: true\npackage_wheels_dir: %q\nmax_workers: 2\njob_types:\n  - {name: packed, requirements: [%s]}\n", dir, strings.Join(names, ", "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	p := &packages{}
	for _, to := range []*float64{&p.First, &p.Again} {
		m, err := s.run(ctx, s.takoCommand("-q", "--config", config, "--job-type", "packed", "-c", trivial))
		if err == nil {
			err = m.answered()
		}
		if err != nil {
			return fmt.Errorf("a run with packages: %w", err)
		}
		*to = m.Wall.Seconds()
	}
	pip := command{path: "/usr/bin/python3", dir: s.dir, env: s.environ(), limit: 2 * time.Minute, args: append([]string{"-m", "pip", "install", "--quiet",
		"--no-index", "--find-links", dir, "--no-cache-dir", "--disable-pip-version-check", "--target", filepath.Join(s.dir, "site")}, names...)}
	if m, err := s.run(ctx, pip); err == nil && m.ExitCode == 0 {
		p.Pip = m.Wall.Seconds()
	}
	if err := s.packedJobs(ctx, o, p, config); err != nil {
		return err
	}
	s.report.Packages = p
	s.printPackages(p)
	return nil
}

// makeWheels writes packages of twenty modules each; the first needs the second.
func makeWheels(dir string) (names []string, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for i := range wheels {
		name, files := fmt.Sprintf("bench-%02d", i), map[string]string{}
		for m := range 20 {
			files[fmt.Sprintf("bench_%02d/m%02d.py", i, m)] = strings.Repeat(fmt.Sprintf("def f%d(x):\n    return x + %d\n\n\n", m, m), 40)
		}
		files[fmt.Sprintf("bench_%02d/__init__.py", i)] = "from . import m00\n"
		var requires []string
		if i == 0 {
			requires = []string{"bench-01"}
		}
		if _, err := takotest.WriteWheel(dir, name, "1.0", files, requires...); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// packedJobs measures jobs of a server with and without packages, in turn, each
// when a sandbox waits for it.
func (s *session) packedJobs(ctx context.Context, o options, p *packages, config string) error {
	srv, err := s.startServer(ctx, "TAKO_VM_CONFIG="+config)
	if err != nil {
		return err
	}
	defer srv.stop()
	kinds := []struct {
		body map[string]any
		ms   []float64
	}{{body: map[string]any{"code": trivial}}, {body: map[string]any{"code": trivial, "job_type": "packed"}}}
	const adopted = 4 // runs until both have sandboxes that wait
	for i := range adopted + o.starts {
		for k := range kinds {
			if err := srv.rested(ctx); err != nil {
				return err
			}
			var a struct{ Success bool }
			begun := time.Now()
			err := srv.api.call(ctx, "POST", "/execute", kinds[k].body, &a)
			if took := time.Since(begun); err == nil && i >= adopted {
				kinds[k].ms = append(kinds[k].ms, took.Seconds()*1000)
			}
			if err == nil && !a.Success {
				err = fmt.Errorf("a job failed: %v", kinds[k].body)
			}
			if err != nil {
				return err
			}
		}
	}
	p.PlainMS, p.PackedMS = percentilesOf(kinds[0].ms), percentilesOf(kinds[1].ms)
	return nil
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
	s.table(fmt.Sprintf("%d packages", wheels), func(row func(string, ...any)) {
		row("\tgot\twanted")
		row("first run, which installs them, s\t%.2f\t-", p.First)
		row("the next one, s\t%.2f\t-", p.Again)
		pip := "not measured: there is no pip"
		if p.Pip > 0 {
			pip = fmt.Sprintf("%.2f", p.Pip)
		}
		row("pip install on the host, s\t%s\t-", pip)
		row("a job of a server without packages, p50 ms\t%.1f\t-", p.PlainMS.P50)
		row("a job that has them, p50 ms\t%.1f\t-", p.PackedMS.P50)
		row("ratio\t%.2f\tunder %.1f", p.PackedMS.P50/p.PlainMS.P50, wantedPackages)
	})
}
