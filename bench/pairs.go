package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// wantedRatio is how much of runsc do's time tako run may take.
const wantedRatio = 0.8

// warmUps come before the first pair that counts: the second run of a shape
// makes its snapshot.
const warmUps = 3

// pairs times one job through tako and through runsc do, in turn: what else
// the machine does meets both alike.
func (s *session) pairs(ctx context.Context, o options) error {
	version, path := "given", o.runsc
	if path == "" {
		s.printf("building runsc from the module's gVisor, if it is not there yet\n")
		var err error
		if path, version, err = buildRunsc(ctx); err != nil {
			return err
		}
	}
	theirs := s.runscCommand(path)
	// A program with an argument is not held in any snapshot: it is booted.
	restored, cold := s.takoCommand("-c", trivial), s.takoCommand("-c", trivial, "argument")
	pairings := []*pairing{
		{Supply: "restore", Tako: restored.String(), Wanted: wantedRatio},
		{Supply: "cold", Tako: cold.String()},
	}
	for i := range o.pairs + warmUps {
		b, err := s.answer(ctx, theirs)
		if err != nil {
			return err
		}
		for n, ours := range []command{restored, cold} {
			a, err := s.answer(ctx, ours)
			if err != nil {
				return err
			}
			if i >= warmUps {
				pairings[n].add(a, b)
			}
		}
	}
	for _, p := range pairings {
		p.Runsc, p.RunscVersion = theirs.String(), version
		p.finish()
		s.printPairs(p)
	}
	s.report.Pairs = pairings
	return nil
}

// runscCommand does the same job with runsc do: no network, which tako's job
// has not either, and without it runsc needs iptables.
func (s *session) runscCommand(path string) command {
	return command{
		path: path,
		args: []string{
			fmt.Sprintf("--rootless=%t", os.Geteuid() != 0), "--network=none", "--platform=systrap",
			"do", "/usr/bin/python3", "-c", trivial,
		},
		dir:   s.dir,
		env:   s.environ(),
		limit: 2 * time.Minute,
	}
}

func (s *session) answer(ctx context.Context, c command) (measured, error) {
	m, err := s.run(ctx, c)
	if err != nil {
		return m, err
	}
	if err := m.answered(); err != nil {
		return m, fmt.Errorf("%s: %w", c, err)
	}
	return m, nil
}

// pairing is the outcome of all pairs.
type pairing struct {
	Supply       string   `json:"supply"` // of tako's sandboxes
	Tako         string   `json:"tako"`
	Runsc        string   `json:"runsc"`
	RunscVersion string   `json:"runsc_version"`
	Wanted       float64  `json:"wanted_ratio,omitempty"` // 0: nothing was
	Metrics      []metric `json:"metrics"`

	tako, runsc []measured
}

// metric is one kind of time, in milliseconds, on both sides.
type metric struct {
	Name           string    `json:"name"`
	Tako           spread    `json:"tako_ms"`
	Runsc          spread    `json:"runsc_ms"`
	RatioOfMedians float64   `json:"ratio_of_medians"`
	PairedRatio    spread    `json:"paired_ratio"`
	TakoValues     []float64 `json:"tako_values_ms"`
	RunscValues    []float64 `json:"runsc_values_ms"`
}

func (p *pairing) add(ours, theirs measured) {
	p.tako = append(p.tako, ours)
	p.runsc = append(p.runsc, theirs)
}

func (p *pairing) finish() {
	kinds := []struct {
		name string
		of   func(measured) time.Duration
	}{
		{"wall", func(m measured) time.Duration { return m.Wall }},
		{"CPU", func(m measured) time.Duration { return m.CPU }},
		{"CPU by wait4", func(m measured) time.Duration { return m.Reaped }},
	}
	for _, k := range kinds {
		p.Metrics = append(p.Metrics, newMetric(k.name, milliseconds(p.tako, k.of), milliseconds(p.runsc, k.of)))
	}
}

func newMetric(name string, ours, theirs []float64) metric {
	m := metric{
		Name: name, Tako: spreadOf(ours), Runsc: spreadOf(theirs),
		PairedRatio: spreadOf(ratios(ours, theirs)),
		TakoValues:  ours, RunscValues: theirs,
	}
	if m.Runsc.Median != 0 {
		m.RatioOfMedians = m.Tako.Median / m.Runsc.Median
	}
	return m
}

func milliseconds(list []measured, of func(measured) time.Duration) []float64 {
	var out []float64
	for _, m := range list {
		out = append(out, float64(of(m))/float64(time.Millisecond))
	}
	return out
}
