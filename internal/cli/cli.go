// Package cli is the command line: a file per command.
//
// Two rules hold for all of them. Standard output is for what was asked for;
// everything that tako itself has to say goes to standard error. An error is
// one line there, "tako: <what is wrong>; <the mend>".
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// Exit codes of tako, beside those of a program that it runs.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 69 // no server at the address
	exitDenied      = 77 // the API key is missing, or may not
	exitTimeout     = 124
	exitTako        = 125
	exitInterrupted = 130
	exitOOM         = 137
	exitPipe        = 141 // nobody reads standard output any more, as a shell has it
)

// errPipe is why a run ends when its output goes to a pipe that was closed.
var errPipe = errors.New("nobody reads the output any more")

// Streams are the process's standard streams. They are passed around because
// the engine needs os.Stdin, os.Stdout and os.Stderr for itself.
type Streams struct {
	In  *os.File
	Out io.Writer
	Err *os.File
}

// app is what the commands share.
type app struct {
	streams    Streams
	cancel     context.CancelCauseFunc // of the commands' context
	configPath string
}

// exitError ends the process with a code, after msg (if any) was printed.
type exitError struct {
	code int
	msg  string
}

func (e *exitError) Error() string { return e.msg }

// usageError is a wrong command line.
func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, msg: fmt.Sprintf(format, args...)}
}

// Main runs the command line and returns the exit code of the process.
func Main(args []string, streams Streams) int {
	ctx, cancel, stop := interruptible()
	defer stop()
	streams.Out = untilClosed{streams.Out, cancel}
	a := &app{streams: streams, cancel: cancel}
	root := a.newRootCommand()
	args = spellOut(args)
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := misnamed(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	return a.report(ctx, err)
}

// spellOut writes -c before the command as --config, which it is short for:
// among what follows the command, run's -c is another one.
func spellOut(args []string) []string {
	out := []string{} // cobra takes nil for the process's own arguments
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		arg := args[0]
		args = args[1:]
		if file, short := strings.CutPrefix(arg, "-c"); arg == "-c" {
			arg = "--config"
		} else if short {
			arg = "--config=" + strings.TrimPrefix(file, "=")
		}
		out = append(out, arg)
		if arg == "--config" && len(args) > 0 {
			out, args = append(out, args[0]), args[1:]
		}
	}
	return append(out, args...)
}

// interruptible returns a context that ends at SIGINT, SIGTERM or SIGHUP with
// the cause runner.ErrOperator, and what ends it with another one. A second
// signal ends the process at once; its sandboxes die with it.
func interruptible() (context.Context, context.CancelCauseFunc, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 4)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // nohup, a shell's background jobs
			signal.Notify(signals, sig)
		}
	}
	// Writing where nobody reads is an error of that write, also on standard
	// output and error, where the runtime would end the process. The signal says
	// no more than that, and not which of them it was.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(runner.ErrOperator)
		case <-done:
			return
		}
		select {
		case <-signals:
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return ctx, cancel, func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(done)
		cancel(nil)
	}
}

// untilClosed is output: when nobody reads it any more, what is done for it ends.
type untilClosed struct {
	io.Writer
	cancel context.CancelCauseFunc
}

func (w untilClosed) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.cancel(errPipe)
	}
	return n, err
}

// report prints err, if it has something to say, and returns its exit code.
func (a *app) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(context.Cause(ctx), errPipe) {
		return exitPipe
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if exit.msg != "" {
			fmt.Fprintln(a.streams.Err, "tako:", oneLine(exit.msg))
		}
		return exit.code
	}
	if ctx.Err() != nil {
		fmt.Fprintln(a.streams.Err, "tako: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(a.streams.Err, "tako:", oneLine(err.Error()))
	return exitCodeOf(err)
}

// exitCodeOf is the table from error kinds to exit codes.
func exitCodeOf(err error) int {
	switch job.KindOf(err) {
	case job.KindInvalid:
		return exitUsage
	case job.KindNotFound:
		return exitFailed
	}
	return exitTako
}

// oneLine keeps an error on one line and free of control characters, whatever
// a file name or a program put into it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ';'
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}

const configUsage = "configuration `file` (default: looked for, see tako --help)"

// config loads the configuration.
func (a *app) config() (*config.Config, error) {
	return config.Load(config.Host(a.configPath))
}
