package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/runner"
)

// runOptions are the flags of tako run.
type runOptions struct {
	code                           string
	language                       string
	input, stdin, outputDir        string
	files, env, hosts, with        []string
	secrets                        []egress.Secret // what the job type binds
	jobType                        string
	timeout, startupTimeout        string
	memory, disk, image            string
	maxStdout, maxStderr, fileSize string
	cpus                           float64
	pids, entries                  int
	json, quiet                    bool
	given                          func(flag string) bool // it stands on the command line
}

const runLong = `Run a program in a fresh sandbox and stream its output.

    tako run script.py arg1 arg2      a file; its language by its name
    tako run -c 'print(1+1)'          code on the command line
    tako run -                        code on standard input
    tako run -- ls -l /usr            any program of the environment
    tako run --image alpine -- ls     the same in a container image (see tako env)

Flags come before the script; what follows it is the script's. The program runs
as uid 1000 in /app, without a network but for the hosts of --allow-host. It
reads /input/data.json (--input) and the files given with --file, and may write
to /tmp, /app and /output. Standard input is empty unless --stdin names one. What
is left in /output is copied to --output-dir; /output/result.json is the result
in --json.

Exit codes: the program's own; 124 when the time ran out, 137 when the memory
did, 130 when interrupted, 125 when tako could not do its part, 2 for usage.`

func (a *app) newRunCommand() *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:        "run [flags] (script [args...] | -c code [args...] | - [args...] | -- command [args...])",
		Short:      "Run a program in a fresh sandbox",
		Long:       runLong,
		SuggestFor: []string{"exec", "execute", "python", "eval"},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.given = cmd.Flags().Changed
			return a.run(cmd.Context(), o, source{
				code: o.code, hasCode: cmd.Flags().Changed("code"),
				args: args, isCommand: cmd.ArgsLenAtDash() == 0,
			})
		},
	}
	o.addFlags(cmd)
	cmd.Flags().StringVar(&a.configPath, "config", "", configUsage) // its -c is the code
	completes(cmd, "language", "python", "node", "bash")
	a.completesTypes(cmd, "job-type")
	exits(cmd, exitUsage, exitTimeout, exitTako, exitInterrupted, exitOOM, exitPipe)
	return cmd
}

func (o *runOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.code, "code", "c", "", "run `code` instead of a file")
	f.StringVar(&o.language, "language", "", "`language` of the program: python, node or bash (default by file name, else python)")
	f.StringVar(&o.image, "image", "", "run in the container image `REF`, pulled if it is not here, instead of this machine's Python")
	f.StringVar(&o.input, "input", "", "input data: a JSON object, or a `file` that holds one")
	f.StringArrayVar(&o.files, "file", nil, "copy a file of the host in, as `host:inside`; inside is relative to /input")
	f.StringVar(&o.stdin, "stdin", "", "feed `file` to the program's standard input; - is tako's own")
	f.StringVar(&o.outputDir, "output-dir", "", "copy what the program left in /output into `dir`")
	f.StringVar(&o.timeout, "timeout", "", "time for the program, as 30s or in `seconds` (default 30s, or the configuration's)")
	f.StringVar(&o.startupTimeout, "startup-timeout", "", "time for the sandbox to start, as 120s or in `seconds` (default 120s, or the configuration's)")
	f.StringVar(&o.memory, "memory", "", "memory for everything in the sandbox, as `size` (512m)")
	f.Float64Var(&o.cpus, "cpus", 0, "processors, a `number` from 0.1 to 16 (1)")
	f.IntVar(&o.pids, "pids", 0, "processes and threads together, a `number` (50)")
	f.StringVar(&o.disk, "disk", "", "bytes in each of /tmp, /app and /output, as `size` (100m)")
	f.IntVar(&o.entries, "max-files", 0, "files and directories in each of /tmp, /app and /output, a `number` (20000)")
	f.StringVar(&o.fileSize, "file-size", "", "bytes in one file, as `size` (100m)")
	f.StringVar(&o.maxStdout, "max-stdout", "", "keep at most `size` of standard output (64k)")
	f.StringVar(&o.maxStderr, "max-stderr", "", "keep at most `size` of standard error (64k)")
	f.StringArrayVar(&o.env, "env", nil, "set `NAME=value` for the program, or pass NAME on")
	f.StringArrayVar(&o.hosts, "allow-host", nil, "let the program reach `host`: api.example.com, *.example.com, 203.0.113.0/24,\neach with an optional :port or :port-port (default 80 and 443)")
	f.StringArrayVar(&o.with, "with", nil, "install the `package` first: Python's as numpy or 'pandas>=2', npm's as npm:lodash or npm:@scope/name@^4;\nwhat was installed once is there the next time")
	f.StringVar(&o.jobType, "job-type", "", "run as a job of this `type` of the configuration or of job_types.json; other flags go beyond it")
	f.BoolVar(&o.json, "json", false, "print one JSON object about the run instead of streaming")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "say nothing on standard error beside errors")
}

// run is tako run.
func (a *app) run(ctx context.Context, o *runOptions, src source) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	typ, err := o.typeOf(ctx, cfg)
	if err != nil {
		return err
	}
	if o.secrets, err = secretsOf(ctx, cfg, typ); err != nil {
		return err
	}
	attempt, err := o.attempt(cfg, typ, src, a.streams.In)
	if err != nil {
		return err
	}
	if o.given("image") {
		if err := oci.CheckReference(o.image); err != nil {
			return usageError("--image: %s", err)
		}
	}
	stdin, err := a.openStdin(o.stdin)
	if err != nil {
		return err
	}
	if stdin != nil {
		defer stdin.Close()
		attempt.Stdin = stdin
	}
	sinks := runner.Sinks{Keep: o.json}
	if !o.json {
		sinks.Stdout, sinks.Stderr = a.streams.Out, untilClosed{a.streams.Err, a.cancel}
	}
	if o.outputDir != "" {
		out, err := openOutput("--output-dir", o.outputDir)
		if err != nil {
			return err
		}
		defer out.Close()
		sinks.Artifact = out.save
	}
	return a.execute(ctx, cfg, o, attempt, typ, sinks)
}

// execute builds what a run needs, runs it, and lets go of all of it before it
// says how it went.
func (a *app) execute(ctx context.Context, cfg *config.Config, o *runOptions, attempt *runner.Attempt, typ job.Type, sinks runner.Sinks) error {
	image := cmp.Or(o.image, typ.Image)
	opts := assembly.Options{Progress: newProgress(a.streams.Err, o.quiet), ImagesOnly: image != ""}
	if image != "" {
		opts.Progress = newProgressOf(image, a.streams.Err, o.quiet)
		env, err := assembly.Image(ctx, cfg, image, oci.Options{Progress: opts.Progress})
		if err != nil {
			return imageFailure(err, exitTako)
		}
		attempt.Environment = env
	}
	local, err := assembly.NewLocal(ctx, cfg, opts)
	if err != nil {
		return err
	}
	if packages := slices.Concat(typ.Requirements, o.with); len(packages) > 0 {
		var said io.Writer = a.streams.Err
		if o.quiet {
			said = io.Discard
		}
		attempt.Environment, err = local.Environment(ctx, assembly.Wanted{Image: image, Pull: true, Requirements: packages}, said)
		if err != nil {
			return errors.Join(err, local.Close())
		}
	}
	if local.Leftovers != nil && !o.quiet {
		fmt.Fprintln(a.streams.Err, "tako: not cleaned up:", oneLine(local.Leftovers.Error()))
	}
	res, err := local.Run(ctx, *attempt, sinks)
	closeErr := local.Close()
	if res == nil {
		return errors.Join(err, closeErr)
	}
	if left := errors.Join(res.Leftovers, closeErr); left != nil && !o.quiet { // how the program ended is known
		fmt.Fprintln(a.streams.Err, "tako: not cleaned up:", oneLine(left.Error()))
	}
	err = errors.Join(err, lost(res))
	if o.json {
		if err := printRecord(a.streams.Out, local, res); err != nil {
			return err
		}
	} else if !o.quiet && err == nil && !errors.Is(context.Cause(ctx), errPipe) {
		a.explain(res, o)
	}
	if err != nil {
		return err
	}
	return exitOf(res)
}

// lost is what did not get to where the user wanted it, as an error. A closed
// pipe is none: nobody wanted it there.
func lost(res *runner.Result) error {
	if res.Lost == nil || errors.Is(res.Lost, syscall.EPIPE) {
		return nil
	}
	return job.Errorf(job.KindUnavailable, "%w", res.Lost)
}

// exitOf maps a result to tako's exit code.
func exitOf(res *runner.Result) error {
	code := exitTako
	switch {
	case res.Status == job.Timeout:
		code = exitTimeout
	case res.Status == job.OOM:
		code = exitOOM
	case res.Status == job.Cancelled:
		code = exitInterrupted
	case res.ExitCode != nil:
		code = *res.ExitCode
	}
	if code == exitDone {
		return nil
	}
	return &exitError{code: code}
}

// explain says on standard error what the program's own output does not.
func (a *app) explain(res *runner.Result, o *runOptions) {
	say := func(format string, args ...any) {
		fmt.Fprintln(a.streams.Err, "tako:", oneLine(fmt.Sprintf(format, args...)))
	}
	for _, s := range []struct {
		name, flag string
		stream     runner.Stream
	}{{"standard output", "--max-stdout", res.Stdout}, {"standard error", "--max-stderr", res.Stderr}} {
		if s.stream.Truncated {
			say("%s was cut: the program wrote %d bytes; %s keeps more", s.name, s.stream.Total, s.flag)
		}
	}
	if len(res.Unenforced) > 0 {
		say("permissive: this host does not enforce %s; see tako doctor", strings.Join(res.Unenforced, ", "))
	}
	for _, skipped := range res.Skipped {
		say("left in /output: %s", skipped)
	}
	if res.Network != nil {
		for _, d := range res.Network.Denied {
			say("the network refused %s: %s", d.Target(), d.Reason)
		}
	}
	if n := len(res.Artifacts); n > 0 && o.outputDir == "" {
		say("the program left %d file(s) in /output; --output-dir keeps them", n)
	}
	if res.Error != nil && res.EndedBy.Actor != job.ActorUserCode || res.EndedBy.Signal != "" || res.ExitCode == nil {
		say("%s: %s", res.Status, res.Error.Message)
	} else if res.Error != nil && res.Error.Phase == job.PhaseStartup {
		say("%s", res.Error.Message)
	}
}

// openStdin opens what --stdin names; nil for an empty standard input.
func (a *app) openStdin(name string) (io.ReadCloser, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return io.NopCloser(a.streams.In), nil
	}
	f, err := openRegular(name)
	if err != nil {
		return nil, usageError("--stdin: %s", err)
	}
	return f, nil
}

// openRegular opens a file for reading and refuses directories, by name.
func openRegular(name string) (*os.File, error) {
	// A FIFO would block until somebody writes; the shell's <(...) has a writer.
	if info, err := os.Stat(name); err == nil && info.Mode()&os.ModeNamedPipe != 0 && !strings.HasPrefix(name, "/dev/fd/") {
		return nil, fmt.Errorf("%s is a FIFO; name a file, or give - with standard input from it", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, pathCause(err))
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory; name a file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// pathCause is what an error about a path says beside the path.
func pathCause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// languageOf guesses the language of a script by its name.
func languageOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".js", ".mjs", ".cjs":
		return "node"
	case ".sh", ".bash":
		return "bash"
	}
	return "python"
}
