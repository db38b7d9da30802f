package tako

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// do runs the request in a sandbox of this process.
func (q *request) do(ctx context.Context, sinks runner.Sinks) (*runner.Result, error) {
	if cgo {
		return nil, errCgo()
	}
	cfg, err := config.Load(config.Host(q.Config))
	if err != nil {
		return nil, err
	}
	a, err := q.attempt(cfg)
	if err != nil {
		return nil, err
	}
	local, err := assembly.NewLocal(ctx, cfg, assembly.Options{ImagesOnly: q.Image != ""})
	if err != nil {
		return nil, err
	}
	if q.Image != "" || len(q.Packages) > 0 {
		a.Environment, err = local.Environment(ctx, assembly.Wanted{Image: q.Image, Pull: true, Requirements: q.Packages}, io.Discard)
	}
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	res, err := local.Run(ctx, *a, sinks)
	closed := local.Close()
	if res == nil {
		return nil, errors.Join(err, closed)
	}
	res.Leftovers = errors.Join(res.Leftovers, closed)
	return res, errors.Join(err, res.Lost)
}

// attempt is the request, held against the configuration.
func (q *request) attempt(cfg *config.Config) (*runner.Attempt, error) {
	if int64(len(q.Code)) > cfg.MaxCodeBytes {
		return nil, job.Errorf(job.KindInvalid, "the code is longer than %d bytes", cfg.MaxCodeBytes).WithHint("raise max_code_bytes, or pass data as Options.Files")
	}
	if int64(len(q.Input)) > cfg.MaxInputBytes {
		return nil, job.Errorf(job.KindInvalid, "Options.Input is longer than %d bytes", cfg.MaxInputBytes).WithHint("raise max_input_bytes, or pass it as Options.Files")
	}
	a := &runner.Attempt{Language: cmp.Or(q.Language, "python"), Code: []byte(q.Code), Args: q.Args, Env: q.Env, FixedEnv: len(q.Env) == 0,
		Input: q.Input, Limits: cfg.Limits()}
	if q.Stdin {
		a.Stdin = os.Stdin
	}
	for path, content := range q.Files {
		a.Files = append(a.Files, runner.File{Path: path, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content)), nil
		}})
	}
	l := &a.Limits
	l.Execution, l.Memory, l.CPUs = cmp.Or(q.Timeout, l.Execution), cmp.Or(q.Memory, l.Memory), cmp.Or(q.CPUs, l.CPUs)
	if most := time.Duration(cfg.MaxTimeout) * time.Second; l.Execution > most {
		return nil, job.Errorf(job.KindInvalid, "Options.Timeout is %v, and the configuration allows %v", l.Execution, most).WithHint("raise max_timeout")
	}
	if err := l.Validate(); err != nil {
		return nil, job.Errorf(job.KindInvalid, "%w", err)
	}
	if len(q.Hosts) == 0 {
		return a, nil
	}
	options, err := assembly.Egress(cfg, nil)
	if err != nil {
		return nil, err
	}
	a.Network, err = egress.Compile(job.Network{Mode: job.NetworkAllow, Allow: q.Hosts}, options)
	return a, err
}
