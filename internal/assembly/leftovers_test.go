package assembly

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

var errBusy = errors.New("the cgroup is busy")

// untidy is an engine whose sandboxes say that something of them is left.
type untidy struct{ engine.Engine }

func (u untidy) Launch(ctx context.Context, spec engine.Spec) (engine.Sandbox, error) {
	sb, err := u.Engine.Launch(ctx, spec)
	if err != nil {
		return nil, err
	}
	return untidySandbox{sb}, nil
}

type untidySandbox struct{ engine.Sandbox }

func (s untidySandbox) Destroy() error { return errors.Join(errBusy, s.Sandbox.Destroy()) }

// A sandbox that cannot be removed takes nothing from how its attempt ended.
func TestLeftoversDecideNothing(t *testing.T) {
	r := newRig(t)
	r.Runner.Supplier.Engine = untidy{r.Engine}
	for name, tc := range map[string]struct {
		code   string
		status job.Status
	}{
		"an end of its own": {"print('done')", job.Succeeded},
		"out of time":       {"while True: pass", job.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.python(tc.code)
			if tc.status == job.Timeout {
				a.Limits.Execution = 300 * time.Millisecond
			}
			res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
			if err != nil || res.Status != tc.status || !errors.Is(res.Leftovers, errBusy) {
				t.Errorf("%v, left %v: it ended as %s", err, res.Leftovers, show(res))
			}
		})
	}
}
