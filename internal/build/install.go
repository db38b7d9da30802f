package build

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/pkgindex"
	"github.com/takovm/tako/internal/runner"
)

//go:embed install.py
var installPython string

// Exit codes of install.py.
const (
	exitFailed      = 96 // the installer has said why
	exitNoInstaller = 97
)

// maxTail is how much of what the installer said last an error may quote.
const maxTail = 4096

// maxEntries is how many files and directories an installation may leave.
const maxEntries = 500_000

// install runs an installer in a sandbox of base and returns what it left.
func (b *Builder) install(ctx context.Context, base environment.Environment, requirements []string, log io.Writer) (_ *oci.Unpacked, err error) {
	g, err := newGateway(b.o.Index)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	outer := ctx
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	said := &tail{to: log}
	r, w := io.Pipe()
	type outcome struct {
		tree *oci.Unpacked
		err  error
	}
	unpacked := make(chan outcome, 1)
	go func() {
		tree, err := oci.Unpack(ctx, r, b.o.Dir, oci.Limits{Unpacked: b.o.Limits.Disk, Entries: maxEntries}, func(note string) { fmt.Fprintln(said, "tako:", note) })
		if err != nil {
			cancel(err) // the rest is of no use
		}
		_ = r.CloseWithError(err) // which never fails
		unpacked <- outcome{tree, err}
	}()
	res, runErr := b.o.Runner.Run(ctx, b.attempt(base, requirements, g), runner.Sinks{Stdout: w, Stderr: said, Live: math.MaxInt64})
	_ = w.Close()
	out := <-unpacked
	switch {
	case outer.Err() != nil:
		err = context.Cause(outer)
	case job.KindOf(out.err) == job.KindInvalid && res != nil && res.Status != job.Failed:
		err = job.Errorf(job.KindDependency, "what was installed cannot be kept: %w", out.err)
	case out.err != nil && job.KindOf(out.err) != job.KindInvalid:
		err = out.err
	default:
		err = conclude(res, runErr, g.index, said)
	}
	if err == nil {
		err = out.err
	}
	if err != nil && out.tree != nil {
		err = errors.Join(err, out.tree.Close())
		out.tree = nil
	}
	return out.tree, err
}

// attempt is the installation. It has arguments, so that no snapshot is made and
// no sandbox is kept for it.
func (b *Builder) attempt(base environment.Environment, requirements []string, g *gateway) runner.Attempt {
	list := strings.Join(requirements, "\n") + "\n"
	mode := "wheels"
	if b.o.Index.Sources {
		mode = "sources"
	}
	return runner.Attempt{
		Environment: base, Language: "python", Code: []byte(installPython), Args: []string{pkgindex.URL, mode}, Limits: b.o.Limits, Network: g.policy,
		Files: []runner.File{{Path: "requirements.txt", Size: int64(len(list)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(list)), nil
		}}},
	}
}

// conclude is why there is nothing to keep; nil for an installation that
// succeeded.
func conclude(res *runner.Result, err error, index *pkgindex.Gateway, said *tail) error {
	switch {
	case res == nil || err != nil:
		return err
	case res.Status == job.Succeeded:
		return nil
	}
	code := -1
	if res.ExitCode != nil {
		code = *res.ExitCode
	}
	switch {
	case res.Status == job.Failed && code == exitNoInstaller:
		return job.Errorf(job.KindDependency, "this environment has neither uv nor pip to install packages with").
			WithHint("install python3-pip on this machine, or use an image that has pip")
	case res.Status == job.Failed && index.Fault() != nil:
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %w", index.Fault())
	case res.Status == job.Failed && code == exitFailed:
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %s", said.reason())
	case res.Status == job.Timeout:
		return job.Errorf(job.KindDependency, "installing the packages took too long")
	case res.Status == job.OOM:
		return job.Errorf(job.KindDependency, "installing the packages took too much memory").WithHint("raise build_memory")
	case res.Error != nil:
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %s", res.Error.Message)
	}
	return job.Errorf(job.KindDependency, "the packages cannot be installed: %s", res.Status)
}

// tail passes on what an installer says and remembers the end of it.
type tail struct {
	mu     sync.Mutex
	to     io.Writer
	passed int
	last   []byte
}

// maxLog is how much of what an installation says is passed on, in bytes: it is
// kept in records, and an image's own Python may say anything.
const maxLog = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = bytes.Clone(t.last[max(0, len(t.last)-maxTail):])
	if t.passed < maxLog {
		_, _ = t.to.Write(p[:min(len(p), maxLog-t.passed)]) // a log that nobody takes is no reason to stop
		if t.passed += len(p); t.passed >= maxLog {
			_, _ = io.WriteString(t.to, "\ntako: the log is full: what came after this is not kept\n")
		}
	}
	return len(p), nil
}

// reason is what the installer gave as one: its lines of errors, or the last.
func (t *tail) reason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []string
	last := "it did not say why"
	for line := range strings.Lines(strings.ToValidUTF8(string(t.last), "?")) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "ERROR: "); ok {
			errs = append(errs, text)
		}
		if line != "" {
			last = line
		}
	}
	if len(errs) == 0 {
		errs = []string{last}
	}
	text := strings.Join(errs, "; ")
	return text[:min(len(text), 1000)]
}

// maxInstalled bounds what a record and a log say that a layer has.
const maxInstalled = 1000

// installed lists what a tree has, as "name==version", by name.
func installed(tree []environment.TreeEntry) (list []string) {
	for _, e := range tree {
		name, ok := strings.CutSuffix(path.Base(e.Path), ".dist-info")
		if !ok || path.Dir(e.Path) != "/" {
			continue
		}
		if len(list) == maxInstalled || len(name) > 200 {
			continue
		}
		if name, version, ok := strings.Cut(name, "-"); ok {
			list = append(list, strings.ReplaceAll(name, "_", "-")+"=="+version)
		}
	}
	slices.Sort(list)
	return list
}
