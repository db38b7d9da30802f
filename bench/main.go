// Command bench measures tako on this machine: what one job costs beside
// runsc do, what attacks cost the tako process, what many jobs leave behind,
// and what servers, the network of sandboxes, packages and the Python client
// cost. It prints what it got beside what is wanted and judges nothing: it fails
// only where something could not be run. docs/PERFORMANCE.md explains it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	tako, runsc string // binaries; empty for bin/tako and one built here
	only        string
	json        string
	pairs       int
	serial      int   // runs one after another
	parallel    int   // runs at once
	flood       int64 // bytes
	files       int   // of each file system
	requests    int   // sync ones
	submits     int
	starts      int
	connections int
	transfer    int64 // bytes
	calls       int   // of each way to make one
	quick       bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := bench(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.tako, "tako", "", "the tako `binary` to measure (default bin/tako of this module)")
	f.StringVar(&o.runsc, "runsc", "", "the runsc `binary` to measure against (default: built from the module's gVisor, once)")
	f.StringVar(&o.only, "only", "", "measure one `part`: pairs, attacks, load, server, network, packages or client")
	f.StringVar(&o.json, "json", "", "write the figures to `file`, too")
	f.IntVar(&o.pairs, "pairs", 15, "pairs of tako run and runsc do")
	f.BoolVar(&o.quick, "quick", false, "a smoke test: fewer of everything")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.serial, o.parallel, o.flood, o.files = 200, 50, 10_000_000_000, 20_000
	o.requests, o.submits, o.starts = 200, 4000, 60
	o.connections, o.transfer, o.calls = 200, 200_000_000, 2000
	if o.quick {
		o.requests, o.submits, o.starts = 10, 200, 5
		o.connections, o.transfer, o.calls = 5, 1_000_000, 20
		o.pairs, o.serial, o.parallel, o.flood, o.files = min(o.pairs, 3), 20, 10, 256_000_000, 1000
	}
	if o.pairs < 1 {
		return o, errors.New("-pairs must be 1 or more")
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	switch o.only {
	case "", "pairs", "attacks", "load", "server", "network", "packages", "client":
		return o, nil
	}
	return o, fmt.Errorf("no part %q: there are pairs, attacks, load, server, network, packages and client", o.only)
}

// bench does all that args ask for and prints it to out as it goes.
func bench(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	const longest = 45 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	s, err := prepare(ctx, o, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.measure(ctx, o)
}

// measure runs the parts. One that cannot be run does not keep the others
// from being measured.
func (s *session) measure(ctx context.Context, o options) error {
	parts := []struct {
		name string
		run  func(context.Context, options) error
	}{{"pairs", s.pairs}, {"attacks", s.attacks}, {"load", s.load}, {"server", s.servers}, {"network", s.network}, {"packages", s.packages}, {"client", s.client}}
	var errs []error
	for _, p := range parts {
		if o.only != "" && o.only != p.name {
			continue
		}
		if err := p.run(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	if o.json != "" {
		errs = append(errs, s.report.write(o.json))
	}
	return errors.Join(errs...)
}
