package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/sandbox"
)

// searchPath is where a command without a slash is looked for, and PATH, unless
// the environment's image has a PATH of its own.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

func (a *Attempt) searchPath() string {
	dirs := cmp.Or(a.Environment.Config.Variable("PATH"), searchPath)
	if a.Environment.Packages != nil {
		dirs = environment.PackagesDir + "/bin:" + dirs
	}
	return dirs
}

// dir is where the program starts: a command where its image says, code in /app.
func (a *Attempt) dir() string {
	if c := a.Environment.Config; c != nil && c.Dir != "" && len(a.Command) > 0 {
		return c.Dir
	}
	return sandbox.AppDir
}

// request is what the sandbox has to hold.
func (r *run) request() sandbox.Request {
	input := int64(len(r.input()))
	for _, f := range r.attempt.Files {
		input += f.Size + blockSize // tmpfs rounds up
	}
	req := sandbox.Request{
		Environment: r.attempt.Environment,
		Limits:      r.attempt.Limits,
		CodeBytes:   int64(len(r.attempt.Code)) + r.attempt.Trust.size(),
		InputBytes:  input,
		Tenant:      r.attempt.Tenant,
		Linked:      r.attempt.Network != nil,
	}
	if r.attempt.Holdable() {
		args := r.args()
		req.Held = &sandbox.Held{Program: r.program(args[0], args), Script: r.codePath()}
		if r.attempt.Environment.Languages[r.attempt.Language].Preloads {
			req.Held.Preload = preloadScript(r.attempt.Preload)
		}
	}
	return req
}

const blockSize = 4096

func (r *run) input() []byte {
	if len(r.attempt.Input) == 0 {
		return []byte("{}")
	}
	return r.attempt.Input
}

// stage puts the code and every input into the sandbox, readable for user code
// and writable for nobody.
func (r *run) stage(ctx context.Context) error {
	var own []guest.Content
	if len(r.attempt.Command) == 0 {
		own = append(own, readable(r.codePath(), r.attempt.Code))
	}
	own = append(own, readable(sandbox.InputDir+"/data.json", r.input()))
	if trust := r.attempt.Trust.files(); trust != nil {
		if err := r.isStaged("certificates", r.box.Session.PutAll(ctx, trust...)); err != nil {
			return err
		}
	}
	if r.box.Held && len(r.attempt.Files) == 0 && len(r.attempt.Code)+len(r.input()) <= guest.MostAtOnce {
		r.own = own // and goes with the release
		return nil
	}
	if err := r.isStaged("code and input", r.box.Session.PutAll(ctx, own...)); err != nil {
		return err
	}
	for _, f := range r.attempt.Files {
		if err := r.putFile(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) put(ctx context.Context, name string, content io.Reader, size int64) error {
	return r.isStaged(name, r.box.Session.Put(ctx, guest.File{Path: name, Mode: 0o444, Size: size}, content))
}

func readable(name string, content []byte) guest.Content {
	return guest.Content{File: guest.File{Path: name, Mode: 0o444}, Bytes: content}
}

// isStaged says what became of files that were to be staged.
func (r *run) isStaged(name string, err error) error {
	var file *guest.FileError
	if errors.As(err, &file) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM)) {
		return job.Errorf(job.KindInvalid, "%s does not fit into the sandbox: %w", file.Path, err).
			WithHint("raise the memory limit or the number of files")
	}
	if err != nil {
		return fmt.Errorf("staging %s: %w", name, err)
	}
	r.staged = true
	return nil
}

func (r *run) putFile(ctx context.Context, f File) error {
	content, err := f.Open()
	if err != nil {
		return unreadable(f, err)
	}
	defer content.Close()
	source := &watched{r: content}
	err = r.put(ctx, sandbox.InputDir+"/"+f.Path, source, f.Size)
	if source.err != nil && !errors.Is(err, guest.ErrLost) {
		return unreadable(f, source.err)
	}
	return err
}

// unreadable is the error for an input that could not be read. One that is not
// there or is wrong is the request's fault, and stays so. All else is the fault
// of where it is kept, and may be over when the attempt is made again.
func unreadable(f File, err error) error {
	kind := job.KindUnavailable
	switch job.KindOf(err) {
	case job.KindInvalid, job.KindNotFound:
		kind = job.KindInvalid
	}
	return job.Errorf(kind, "input file %s cannot be read: %w", f.Path, err)
}

// watched remembers what reading failed with, so that it can be told from a
// failure of whoever the bytes are for.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

func (r *run) codePath() string {
	return sandbox.CodeDir + "/" + r.attempt.Environment.Languages[r.attempt.Language].File
}

// exec starts the program. A command without a slash is looked for as a shell
// would, by trying.
func (r *run) exec(ctx context.Context) error {
	streams := guest.Streams{Stdin: r.attempt.Stdin, Stdout: r.stdout, Stderr: r.stderr}
	if r.box.Held {
		err := r.box.Session.Release(ctx, streams, r.own...)
		var file *guest.FileError
		if err == nil || errors.As(err, &file) {
			return r.isStaged("code and input", err)
		}
		return released(err)
	}
	args := r.args()
	var err error
	for _, candidate := range r.attempt.candidates(args[0]) {
		err = r.box.Session.Start(ctx, r.program(candidate, args), streams)
		if !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
	var exec *guest.ExecError
	if errors.As(err, &exec) {
		exec.Path = args[0]
	}
	return err
}

// released takes a held program that did not get its script for what it is:
// the sandbox's fault, not that of a command which names no program.
func released(err error) error {
	var exec *guest.ExecError
	if errors.As(err, &exec) {
		return job.Errorf(job.KindEngine, "the restored interpreter is gone: %s", exec.Error())
	}
	return err
}

func (a *Attempt) candidates(name string) []string {
	if strings.HasPrefix(name, "/") {
		return []string{name}
	}
	if strings.Contains(name, "/") {
		return []string{path.Join(a.dir(), name)}
	}
	var all []string
	for dir := range strings.SplitSeq(a.searchPath(), ":") {
		if path.IsAbs(dir) {
			all = append(all, path.Join(dir, name))
		}
	}
	if all == nil { // an image may have any PATH
		return []string{path.Join(a.dir(), name)}
	}
	return all
}

func (r *run) args() []string {
	a := &r.attempt
	if len(a.Command) > 0 {
		return slices.Concat(a.Command, a.Args)
	}
	return slices.Concat(a.Environment.Languages[a.Language].Command, []string{r.codePath()}, a.Args)
}

func (r *run) program(file string, args []string) guest.Program {
	l := r.attempt.Limits
	// The program's own process was counted for init's user, who started it.
	tasks := uint64(l.PIDs - 1)
	uid, gid := sandbox.User(r.attempt.Environment)
	return guest.Program{
		Path: file,
		Args: args,
		Env:  r.env(),
		Dir:  r.attempt.dir(),
		UID:  uid,
		GID:  gid,
		Rlimits: []guest.Rlimit{
			{Resource: unix.RLIMIT_NPROC, Soft: tasks, Hard: tasks},
			{Resource: unix.RLIMIT_NOFILE, Soft: uint64(l.OpenFiles), Hard: uint64(l.OpenFiles)},
			{Resource: unix.RLIMIT_FSIZE, Soft: uint64(l.FileSize), Hard: uint64(l.FileSize)},
		},
	}
}

// env is the image's environment, then the contract's, the language's and the
// job's. Of the contract's only PATH is the image's own where it has one.
func (r *run) env() []string {
	l := r.attempt.Limits
	vars := map[string]string{}
	if c := r.attempt.Environment.Config; c != nil {
		set(vars, c.Env)
	}
	maps.Copy(vars, fixed())
	maps.Copy(vars, map[string]string{
		"PATH":                   r.attempt.searchPath(),
		"TAKO_STARTUP_TIMEOUT":   strconv.Itoa(int(l.Startup.Seconds())),
		"TAKO_EXECUTION_TIMEOUT": strconv.Itoa(int(l.Execution.Seconds())),
	})
	set(vars, r.attempt.Environment.Languages[r.attempt.Language].Env)
	maps.Copy(vars, r.attempt.Trust.vars())
	maps.Copy(vars, r.attempt.Env)
	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

// fixed are the contract's variables that are the same in every sandbox.
func fixed() map[string]string {
	return map[string]string{
		"HOME":           sandbox.HomeDir,
		"USER":           "sandbox",
		"LANG":           "C.UTF-8",
		"XDG_CACHE_HOME": "/tmp/.cache",
		"MPLCONFIGDIR":   "/tmp/.cache/matplotlib",
	}
}

// Overrides reports that a variable of an image has no effect: the contract gives
// programs another value.
func Overrides(name, value string) bool {
	own, ok := fixed()[name]
	return ok && own != value || strings.HasPrefix(name, "TAKO_")
}

// set sets variables that are written NAME=value.
func set(vars map[string]string, all []string) {
	for _, v := range all {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
}
