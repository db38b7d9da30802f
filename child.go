package tako

import (
	"archive/tar"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/takovm/tako/internal/engine/gvisor"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// Child is what main begins with. Where this process was executed to be a
// sandbox it becomes that and does not return; else it does nothing.
func Child() {
	if gvisor.IsChild() {
		gvisor.ChildMain()
	}
	if isRunner() {
		os.Exit(serve())
	}
}

// serve does one request: this process is there for nothing else.
func serve() int {
	for fd := requestFD; fd < childFDs; fd++ {
		syscall.CloseOnExec(fd) // sandboxes must not have them
	}
	// The caller's streams may be gone: that is an error of writing, no signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	in, out := os.NewFile(requestFD, "request"), os.NewFile(replyFD, "reply")
	files := os.NewFile(filesFD, "files")
	var q request
	var answer reply
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return 125 // the caller is gone
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel() // so is the caller by now
	}()
	res, err := q.do(ctx, q.sinks(files))
	if res != nil {
		answer.Result, answer.Stdout, answer.Stderr = resultOf(res), res.Stdout.Kept, res.Stderr.Kept
	}
	answer.Error = errorOf(err)
	files.Close()
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return 125
	}
	return 0
}

// sinks pass on what the caller takes. Copies of the streams: a launch puts
// others in their place for a moment.
func (q *request) sinks(files io.Writer) runner.Sinks {
	s := runner.Sinks{Keep: true}
	if q.Stdout {
		s.Stdout = os.Stdout
	}
	if q.Stderr {
		s.Stderr = os.Stderr
	}
	if q.Artifacts {
		archive := tar.NewWriter(files)
		s.Artifact = func(name string, size int64, r io.Reader) error { return pass(archive, name, size, r) }
	}
	return s
}

// pass puts a file into the archive once all of it is there: one that turns out
// to be less would spoil what follows.
func pass(archive *tar.Writer, name string, size int64, r io.Reader) error {
	spool, err := os.CreateTemp("", "tako-artifact-")
	if err != nil {
		return err
	}
	defer spool.Close()
	if err := os.Remove(spool.Name()); err != nil {
		return err
	}
	if _, err := io.CopyN(spool, r, size); err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(archive, spool)
	return err
}

func resultOf(r *runner.Result) *Result {
	res := &Result{Status: r.Status, StdoutTruncated: r.Stdout.Truncated, StderrTruncated: r.Stderr.Truncated, Output: r.Output,
		Error: r.Error, EndedBy: r.EndedBy, Timing: r.Timing, Usage: r.Usage, Artifacts: r.Artifacts, Skipped: r.Skipped, Unenforced: r.Unenforced}
	if r.ExitCode != nil {
		res.ExitCode = *r.ExitCode
	}
	if r.Network != nil {
		res.Denied = r.Network.Denied
	}
	if r.Leftovers != nil {
		res.Leftovers = r.Leftovers.Error()
	}
	return res
}

// errCgo is why a binary cannot be a sandbox.
func errCgo() error {
	return job.Errorf(job.KindUnsupported, "this program was built with cgo and cannot be a sandbox").
		WithHint("build it with CGO_ENABLED=0, or name the tako command as Options.Executable")
}
