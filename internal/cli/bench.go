package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/benchmark"
)

const benchLong = `Measure tako on this machine, beside what else is installed here.

It starts servers of its own in a temporary directory, which are gone afterwards;
a server that runs already is not touched. The job is print(1+1), sent over HTTP
on loopback:

  pool      a sandbox waited for it          paced, and in closed loops
  restored  one was made from a snapshot     paced, and in closed loops
  cold      one was started from nothing     paced

In the same run it times /usr/bin/python3, bubblewrap, and docker run with runc
and with runsc (python:3-slim, which is not fetched), as far as they are
installed. What is not is "not measured". Machines differ and are shared: read
the figures of one run as ratios.

The defaults take about two minutes on two processors, --quick a half. Exit code
1 where a job failed.`

// bench is the flags of the command.
type bench struct {
	quick    bool
	requests int
	clients  []int
	json     string
	svg      string
}

func (a *app) newBenchCommand() *cobra.Command {
	var b bench
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure tako on this machine, beside what else is installed", Long: benchLong, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), b) },
	}
	f := cmd.Flags()
	f.BoolVar(&b.quick, "quick", false, "10 requests of each kind, 1 and 10 clients, unless --requests and --clients say otherwise")
	f.IntVar(&b.requests, "requests", 0, "requests of each kind, 1 to 10000, and at least two for each client (default 40)")
	f.IntSliceVar(&b.clients, "clients", nil, "how many clients ask at once, each 1 to 1000 (default 1,10,50,100)")
	f.StringVar(&b.json, "json", "", "write the report as JSON to this file; - is standard output, in place of the table")
	f.StringVar(&b.svg, "svg", "", "write a plot to this file")
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
	return nil
}

func (a *app) bench(ctx context.Context, b bench) error {
	if err := b.settle(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	// Before two minutes of work, not after.
	for flag, name := range map[string]string{"--json": b.json, "--svg": b.svg} {
		if err := writable(name); err != nil {
			return &exitError{code: exitFailed, msg: fmt.Sprintf("%s: %v", flag, err)}
		}
	}
	report, err := benchmark.Run(ctx, benchmark.Options{
		Tako: self, Requests: b.requests, Clients: b.clients,
		Say: func(s string) { fmt.Fprintf(a.streams.Err, "tako: measuring %s\n", s) },
	})
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	return a.publish(b, report)
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
