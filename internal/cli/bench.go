package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/benchmark"
)

const benchLong = `Measure tako on this machine, beside what else is installed here.

It starts servers of its own in a temporary directory, which are gone afterwards;
a server that runs already is not touched. The job is print(1+1), sent over HTTP
on loopback:

  pool      a sandbox waited for it
  restored  one was made from a snapshot
  cold      one was started from nothing: the job has a variable of its own

each of them in closed loops of --clients that ask again at once, and paced: by
one client when the server is at rest, by several at even intervals of their own,
half as often altogether as the server could answer. Paced jobs are timed to their
answer and, others, to the first byte of output. Where a pool cannot keep up, jobs
that had a sandbox from it are shown apart from others.

In the same run it times /usr/bin/python3, bubblewrap, and docker run with runc
and with runsc (python:3-slim, which is not fetched), as far as they are
installed. What is not is "not measured". Machines differ and are shared: read
the figures of one run as ratios.

The defaults take about five minutes on two processors, --quick half a minute. Exit
code 1 where a job failed.`

// bench is the flags of the command.
type bench struct {
	quick    bool
	requests int
	clients  []int
	only     []string
	json     string
	svg      string
}

func (a *app) newBenchCommand() *cobra.Command {
	var b bench
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure tako on this machine, beside what else is installed", Long: benchLong, Args: noArgs,
		Example: "  tako bench --quick\n  tako bench --clients 1,8 --only pool,restore --json bench.json --svg bench.svg",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), b) },
	}
	f := cmd.Flags()
	f.BoolVar(&b.quick, "quick", false, "10 requests of each kind, 1 and 10 clients, unless --requests and --clients say otherwise")
	f.IntVar(&b.requests, "requests", 0, "`requests` of each kind, 1 to 10000, and at least two for each client (default 40)")
	f.IntSliceVar(&b.clients, "clients", nil, "how many `clients` ask at once, each 1 to 1000 (default 1,10,50,100)")
	f.StringSliceVar(&b.only, "only", nil, "measure only these `parts`: "+strings.Join(benchmark.Parts(), ", ")+" (default all)")
	f.StringVar(&b.json, "json", "", "write the report as JSON to this `file`; - is standard output, in place of the table")
	f.StringVar(&b.svg, "svg", "", "write a plot to this `file`")
	completes(cmd, "only", benchmark.Parts()...)
	return cmd
}

// settle fills in defaults and refuses what cannot be.
func (b *bench) settle() error {
	if b.requests == 0 {
		b.requests = 40
		if b.quick {
			b.requests = 10
		}
	}
	if len(b.clients) == 0 {
		b.clients = []int{1, 10, 50, 100}
		if b.quick {
			b.clients = []int{1, 10}
		}
	}
	if b.requests < 1 || b.requests > 10_000 {
		return usageError("--requests is %d: it must be between 1 and 10000", b.requests)
	}
	for _, n := range b.clients {
		if n < 1 || n > 1000 {
			return usageError("--clients has %d: it must be between 1 and 1000", n)
		}
	}
	for _, part := range b.only {
		if !slices.Contains(benchmark.Parts(), part) {
			return usageError("--only has %q: it takes %s", part, strings.Join(benchmark.Parts(), ", "))
		}
	}
	return nil
}

func (a *app) bench(ctx context.Context, b bench) error {
	if err := b.settle(); err != nil {
		return err
	}
	// Before minutes of work, not after.
	for flag, name := range map[string]string{"--json": b.json, "--svg": b.svg} {
		if err := writable(name); err != nil {
			return usageError("%s %s: %s; name a file in a directory that can be written", flag, name, pathCause(err))
		}
	}
	self, err := os.Executable()
	if err != nil {
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	cfg, err := a.config()
	if err != nil {
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	engine := assembly.EngineInfo()
	report, err := benchmark.Run(ctx, benchmark.Options{
		Tako: self, Version: takoVersion(), Engine: engine.Name + " " + engine.Version, SecurityMode: string(cfg.SecurityMode),
		Requests: b.requests, Clients: b.clients, Only: b.only,
		Say: func(s string) { fmt.Fprintf(a.streams.Err, "tako: measuring %s\n", s) },
	})
	if err == nil {
		return a.publish(b, report)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(report.Rows) > 0 { // what there is, rather than nothing
		_ = report.Table(a.streams.Err) // the other error says more
	}
	return &exitError{code: exitFailed, msg: err.Error()}
}

// publish writes the report wherever it is wanted.
func (a *app) publish(b bench, report *benchmark.Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	switch b.json {
	case "-":
		_, err = a.streams.Out.Write(text)
	case "":
		err = report.Table(a.streams.Out)
	default:
		if err = report.Table(a.streams.Out); err == nil {
			err = replace(b.json, func(w io.Writer) error { _, err := w.Write(text); return err })
		}
	}
	if err == nil && b.svg != "" {
		err = replace(b.svg, report.SVG)
	}
	if err != nil {
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	if report.Failed() {
		return &exitError{code: exitFailed, msg: "some jobs failed; see the table"}
	}
	return nil
}

// writable reports why a file could not be written later.
func writable(name string) error {
	if name == "" || name == "-" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tako-bench-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// replace writes a file whole, or leaves what was there.
func replace(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".tako-bench-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
