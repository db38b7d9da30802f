package tako

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/job"
)

// farewell is how long the process may take to end and clean up once it was
// told to.
const farewell = 15 * time.Second

// run has another process do the request. A launch changes what belongs to all
// of a process, os.Stdout for one: that must not be the caller's.
func (r *request) run(ctx context.Context, o Options) (*Result, error) {
	p, err := r.start(o)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "starting the process of a sandbox: %w", err)
	}
	defer p.close()
	stop := context.AfterFunc(ctx, func() {
		p.request.Close()                                         // it ends then
		time.AfterFunc(farewell, func() { p.cmd.Process.Kill() }) //nolint:errcheck // it has ended
	})
	defer stop()
	filesDone := make(chan error, 1)
	go func() { filesDone <- p.readFiles(o.Artifact) }()
	sendErr := json.NewEncoder(p.request).Encode(r)
	var answer reply
	readErr := json.NewDecoder(p.reply).Decode(&answer)
	filesErr := <-filesDone
	waitErr := p.cmd.Wait()
	if err := ctx.Err(); err != nil {
		return answer.result(), fmt.Errorf("running code: %w", err)
	}
	if readErr != nil {
		return nil, p.silent(errors.Join(sendErr, waitErr))
	}
	if answer.Error != nil {
		return answer.result(), answer.Error
	}
	if errors.Is(waitErr, exec.ErrWaitDelay) { // a standard input that goes on
		waitErr = nil
	}
	return answer.result(), errors.Join(filesErr, waitErr)
}

func (a *reply) result() *Result {
	if a.Result != nil {
		a.Result.Stdout, a.Result.Stderr = string(a.Stdout), string(a.Stderr)
	}
	return a.Result
}

// process is the one that does a request, and our ends of its pipes.
type process struct {
	cmd                   *exec.Cmd
	request, reply, files *os.File
	said                  bytes.Buffer // its own last words, where nobody else takes them
}

func (p *process) close() {
	for _, f := range []*os.File{p.request, p.reply, p.files} {
		if f != nil {
			f.Close()
		}
	}
}

// start executes the binary again.
func (r *request) start(o Options) (_ *process, err error) {
	p := &process{}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			p.close()
		}
	}()
	pipe := func(ours **os.File, reads bool) error {
		in, out, err := os.Pipe()
		if err != nil {
			return err
		}
		if reads {
			in, out = out, in
		}
		*ours, theirs = out, append(theirs, in)
		return nil
	}
	if err := errors.Join(pipe(&p.request, false), pipe(&p.reply, true), pipe(&p.files, true)); err != nil {
		return p, err
	}
	executable := o.Executable
	if executable == "" {
		executable = "/proc/self/exe"
	} else if executable, err = exec.LookPath(executable); err != nil {
		return p, err
	}
	p.cmd = exec.Command(executable)
	p.cmd.Args = []string{childName}
	p.cmd.ExtraFiles = theirs
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = o.Stdin, o.Stdout, o.Stderr
	if o.Stderr == nil {
		p.cmd.Stderr = &p.said
	}
	p.cmd.WaitDelay = time.Second                           // for a standard input that nobody ends
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what a terminal sends is for the caller to pass on
	return p, p.cmd.Start()
}

// readFiles hands over artifacts as they come. After a failure it only reads
// on, so that nobody waits for it.
func (p *process) readFiles(take func(string, int64, io.Reader) error) error {
	defer io.Copy(io.Discard, p.files) //nolint:errcheck // nobody waits for it
	for archive := tar.NewReader(p.files); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(h.Name, h.Size, archive)
		}
		if err != nil {
			return fmt.Errorf("taking an artifact: %w", err)
		}
	}
}

// silent is the error of a process that did not answer.
func (p *process) silent(err error) error {
	const most = 500
	said := strings.TrimSpace(p.said.String())
	said = said[max(0, len(said)-most):]
	return job.Errorf(job.KindUnavailable, "the process of a sandbox did not answer: %w %s", err, said).
		WithHint("main has to call tako.Child first of all")
}
