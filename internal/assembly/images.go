package assembly

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest/initbin"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// errStale is why an attempt was given up before its program started: the
// machine has changed since its environment was packed.
var errStale = errors.New("the environment is no longer this machine's")

// images are the two files that every sandbox mounts.
type images struct {
	host     *environment.Host
	progress func(environment.Progress)
	// fresh says, once it is known, whether the environment is this machine's;
	// nil when that is certain already.
	fresh <-chan bool
}

// open finds the environment that was used last, and looks meanwhile whether it
// still holds; without one it packs it now.
func (l *Local) open(ctx context.Context, cfg *config.Config, opts Options) (initImage string, err error) {
	cache := filepath.Join(cfg.DataDir, "cache", "environments")
	l.images = images{host: &environment.Host{Cache: cache}, progress: opts.Progress}
	env, fresh, ok := l.images.host.Recall()
	if ok {
		answer := make(chan bool, 1)
		go func() { answer <- fresh() }()
		l.Environment, l.images.fresh = env, answer
	} else if err := l.pack(ctx); err != nil {
		return "", err
	}
	return environment.PackInit(ctx, cache, initbin.Binary(), initbin.Digest())
}

// pack makes sure of this machine's environment.
func (l *Local) pack(ctx context.Context) (err error) {
	l.images.fresh = nil
	l.Environment, err = l.images.host.Ensure(ctx, l.images.progress)
	return err
}

// ready waits until the environment is known to hold.
func (l *Local) ready(ctx context.Context) error {
	if l.images.fresh == nil {
		return nil
	}
	select {
	case fresh := <-l.images.fresh:
		l.images.fresh = nil
		if !fresh {
			return errStale
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run runs one attempt in this machine's environment. The sandbox starts while
// the environment is still being compared with the machine; the program starts
// after. When that finds a difference, or the image turns out to be corrupt,
// the environment is packed again and the attempt begins anew: nothing of the
// program has run by then.
func (l *Local) Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error) {
	for again := true; ; again = false {
		a.Environment, a.Ready = l.Environment, l.ready
		res, err := l.Runner.Run(ctx, a, sinks)
		if !again || ctx.Err() != nil {
			return res, err
		}
		switch {
		case errors.Is(err, errStale):
		case res != nil && suspect(res, a) && l.corrupt(ctx):
		default:
			return res, err
		}
		if err := l.pack(ctx); err != nil {
			return nil, err
		}
	}
}

// suspect reports a result that a corrupt image would explain: nothing ran, and
// neither a limit nor the caller is the reason.
func suspect(res *runner.Result, a runner.Attempt) bool {
	if res.Status != job.Failed || res.Error == nil || res.Error.Phase != job.PhaseStartup {
		return false
	}
	// A command may well name a program that is not there; an interpreter is.
	return len(a.Command) == 0 || res.EndedBy.Actor == job.ActorEngine
}

// corrupt verifies the whole image and removes one that is not what was packed.
func (l *Local) corrupt(ctx context.Context) bool {
	path := l.Environment.Image
	if err := environment.VerifyContext(ctx, path, l.images.progress); err == nil || ctx.Err() != nil {
		return false
	}
	if l.images.progress != nil {
		l.images.progress(environment.Progress{Phase: environment.PhaseVerify, Note: "the image " + path + " is corrupt and is made again"})
	}
	return os.Remove(path) == nil
}
