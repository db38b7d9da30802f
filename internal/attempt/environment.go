package attempt

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

// Environments makes environments.
type Environments interface {
	// Environment makes what w asks for, or finds it where it was made before. It
	// writes what it does to log.
	Environment(ctx context.Context, w Wanted, log io.Writer) (environment.Environment, error)
}

// Wanted is what a job is to run in.
type Wanted struct {
	// Digest is that of an environment of earlier; of one with packages, too.
	Digest string
	// Image is a container image in the place of this machine's environment. Pull
	// fetches one that is not here: only for the operator's, since fetching goes
	// wherever a name leads, with the operator's logins.
	Image        string
	Pull         bool
	Requirements []string // packages: Python's, and npm's with the prefix npm:
}

// environment is what a job runs in. Making it counts for its startup budget. One
// that needs nothing of its own has only a digest, or not even that: whoever
// runs it takes this machine's.
func (e *Executor) environment(ctx context.Context, req *job.Request, t job.Type, p *pump) (environment.Environment, error) {
	w := Wanted{Digest: cmp.Or(req.Environment, t.Environment), Image: cmp.Or(req.Image, t.Image), Pull: req.Image == "" || req.Image == t.Image}
	w.Requirements = append(append(w.Requirements, t.Requirements...), req.Requirements...)
	switch {
	case len(req.Requirements) > 0 && !e.Packages:
		return environment.Environment{}, job.Errorf(job.KindInvalid, "Runtime dependency installation is disabled").
			WithHint("set allow_runtime_requirements, or use a job type that has the packages")
	case req.Image != "" && req.Image != t.Image && !e.Images:
		return environment.Environment{}, job.Errorf(job.KindInvalid, "image %q: images of requests are not allowed", req.Image).
			WithHint("set allow_request_images, or use a job type that has the image")
	case req.Environment == "" && t.Environment != "" && (len(req.Requirements) > 0 || req.Image != "" && req.Image != t.Image):
		return environment.Environment{}, job.Errorf(job.KindInvalid, "%s is a version, whose environment is what it is: a request cannot add packages or an image to it", t.Ref).
			WithHint("leave out the version")
	case w.Image == "" && len(w.Requirements) == 0 || e.Environments == nil:
		return environment.Environment{Digest: w.Digest}, nil
	}
	budget := limits(t.Limits, req).Startup
	limited, cancel := context.WithTimeoutCause(ctx, budget, errTooLong)
	defer cancel()
	env, err := e.Environments.Environment(limited, w, p.build())
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(limited), errTooLong) {
		return env, job.Errorf(job.KindDependency, "making the job's environment took longer than its startup_timeout of %v", budget.Round(time.Second)).
			WithHint("an installation that has begun goes on: try again later; or build the job type ahead, or give it more time")
	}
	return env, err
}

var errTooLong = errors.New("the startup budget ran out")
