package attempt

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// Blobs are where input files come from and artifacts go to.
type Blobs interface {
	Put(ctx context.Context, r io.Reader, limit int64) (artifact.Digest, int64, error)
	Open(ctx context.Context, d artifact.Digest) (*artifact.Blob, error)
}

// plan turns what was asked into what to run. An error is the request's fault:
// it names the thing, and the job fails with it as config_error.
func (e *Executor) plan(ctx context.Context, req *job.Request, t job.Type) (runner.Attempt, error) {
	if err := notYet(req, t); err != nil {
		return runner.Attempt{}, err
	}
	a := runner.Attempt{
		Language: req.Language, Code: []byte(req.Code), Args: req.Args, Input: req.Input,
		Env: merged(t.Env), Limits: limits(t.Limits, req),
		FixedEnv: len(req.Env) == 0, Preload: t.Preload,
	}
	secrets, err := Bind(ctx, t, e.Secrets)
	if err != nil {
		return runner.Attempt{}, err
	}
	Protect(&a, t, secrets, e.Trust)
	a.Env = merged(a.Env, req.Env)
	if a.Network, err = e.network(req, t, secrets); err != nil {
		return runner.Attempt{}, err
	}
	if req.Stdin != nil {
		a.Stdin = strings.NewReader(*req.Stdin)
	}
	for _, f := range req.Files {
		a.Files = append(a.Files, runner.File{Path: f.Path, Size: f.SizeBytes, Open: func() (io.ReadCloser, error) {
			return e.Blobs.Open(ctx, artifact.Digest(f.SHA256))
		}})
	}
	return a, nil
}

// Plain is what most jobs of a type are like: a program in Python, nothing else
// asked for.
func Plain(t job.Type) runner.Attempt {
	return runner.Attempt{Language: "python", Code: []byte("pass"), Env: merged(t.Env), Limits: limits(t.Limits, &job.Request{}),
		FixedEnv: true, Preload: t.Preload}
}

// network is the policy of a job: its type's, or a narrower one that it asked
// for; nil for none.
func (e *Executor) network(req *job.Request, t job.Type, secrets []egress.Secret) (*egress.Policy, error) {
	n, o := t.Network, e.Egress
	o.Secrets = secrets
	if req.Network != nil {
		n, o.Within = *req.Network, &t.Network
	}
	p, err := egress.Compile(n, o)
	if err != nil || !n.Open() {
		return nil, err
	}
	return p, nil
}

// notYet refuses what no part of tako can do so far, instead of leaving it out.
func notYet(req *job.Request, t job.Type) error {
	switch {
	case t.GPU:
		return job.Errorf(job.KindInvalid, "job type %s asks for a GPU: this server has none to give", t.Name)
	}
	return nil
}

// merged has the variables of a job type and, over them, those of a request.
func merged(all ...map[string]string) map[string]string {
	var out map[string]string
	for _, vars := range all {
		for name, value := range vars {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = value
		}
	}
	return out
}

// limits are those of a job type, less or more as the request has it.
func limits(l job.Limits, req *job.Request) job.Limits {
	set(&l.Memory, req.Limits.Memory)
	set(&l.CPUs, req.Limits.CPUs)
	set(&l.PIDs, req.Limits.PIDs)
	set(&l.Disk, req.Limits.Disk)
	set(&l.Stdout, req.Limits.Stdout)
	set(&l.Stderr, req.Limits.Stderr)
	set(&l.Artifact, req.Limits.Artifact)
	if req.Timeout > 0 {
		l.Execution = time.Duration(req.Timeout) * time.Second
	}
	if req.StartupTimeout > 0 {
		l.Startup = time.Duration(req.StartupTimeout) * time.Second
	}
	return l
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}
