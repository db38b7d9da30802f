package assembly

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/gvisor"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/sandbox"
)

// Probed is what an engine says about this host.
type Probed struct {
	Info         engine.Info
	Capabilities engine.Capabilities
}

// Probe asks the engine what this host can enforce. It needs no data directory
// and leaves nothing.
func Probe(ctx context.Context) (p Probed, err error) {
	groups := Cgroups()
	if groups != nil {
		defer func() { err = errors.Join(err, groups.Close()) }()
	}
	p.Info = gvisor.Info()
	p.Capabilities, err = gvisor.Probe(ctx, groups)
	return p, err
}

// CheckDataDir makes a home in the data directory and removes it again.
func CheckDataDir(ctx context.Context, cfg *config.Config) error {
	home, err := sandbox.NewHome(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	return home.Close()
}

// EngineInfo names the engine that is linked in.
func EngineInfo() engine.Info { return gvisor.Info() }

// Trial runs one small job as any other and returns what it printed. It takes
// what limits the host gives.
func Trial(ctx context.Context, cfg *config.Config, progress func(environment.Progress)) (out string, err error) {
	permissive := *cfg
	permissive.SecurityMode = config.Permissive
	l, err := NewLocal(ctx, &permissive, Options{Progress: progress})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	res, err := l.Run(ctx, runner.Attempt{
		Language: "python",
		Code:     []byte("import sys; print('python', sys.version.split()[0], 'answers', 1 + 1)"),
		Limits:   cfg.Limits(),
	}, runner.Sinks{Keep: true})
	if err != nil {
		return "", err
	}
	if res.Status != job.Succeeded {
		return "", fmt.Errorf("it ended as %s: %s", res.Status, res.Error.Message)
	}
	return strings.TrimSpace(string(res.Stdout.Kept)), nil
}
