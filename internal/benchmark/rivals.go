package benchmark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// pythonRow is what all else is compared with.
const pythonRow = "/usr/bin/python3"

// dockerImage is run if it is there; it is never fetched.
const dockerImage = "python:3-slim"

// rival is another way to run the code.
type rival struct {
	name    string
	missing string // why it is not measured
	args    []string
}

// rivals measures what else is installed, each in turn.
func (s *session) rivals(ctx context.Context) error {
	s.Say("what else is installed")
	list := installed(ctx)
	tallies := make([]*tally, len(list))
	for i, r := range list {
		tallies[i] = &tally{row: Row{Name: r.name, Clients: 1, Other: true, Missing: r.missing}}
	}
	for range s.Requests {
		for i, r := range list {
			if r.missing != "" {
				continue
			}
			took, err := r.run(ctx, s.dir)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			tallies[i].add(took, "", err)
		}
	}
	for _, t := range tallies {
		r, err := t.done(ctx, nil)
		if err != nil {
			return err
		}
		s.add(r)
	}
	return nil
}

func (r rival) run(ctx context.Context, dir string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, r.args[0], r.args[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	begun := time.Now()
	out, err := cmd.Output()
	took := time.Since(begun)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return took, fmt.Errorf("%w: %.200s", err, exit.Stderr)
	case err != nil:
		return took, err
	case string(out) != answer:
		return took, fmt.Errorf("it printed %q", out)
	}
	return took, nil
}

// installed is what this machine has beside tako.
func installed(ctx context.Context) []rival {
	python := rival{name: pythonRow, args: []string{"/usr/bin/python3", "-c", code}}
	if _, err := os.Stat(python.args[0]); err != nil {
		python.missing = err.Error()
	}
	// The system's files, no network, processes of its own: as bubblewrap's
	// manual has it.
	jail := rival{name: "bubblewrap", args: []string{"bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc",
		"--dev", "/dev", "--tmpfs", "/tmp", "/usr/bin/python3", "-c", code}}
	if _, err := exec.LookPath("bwrap"); err != nil {
		jail.missing = "bwrap is not installed"
	} else if _, err := jail.run(ctx, "/"); err != nil {
		jail.missing = "bwrap does not work here: " + oneLine(err)
	}
	list := []rival{python, jail}
	for _, runtime := range []string{"runc", "runsc"} {
		r := rival{name: "docker run, " + runtime, args: []string{"docker", "run", "--rm", "--network=none", "--pull=never", "--runtime=" + runtime,
			dockerImage, "python", "-c", code}}
		r.missing = dockerMissing(ctx, r)
		list = append(list, r)
	}
	return list
}

// dockerMissing says why docker cannot be measured.
func dockerMissing(ctx context.Context, r rival) string {
	if _, err := exec.LookPath("docker"); err != nil {
		return "docker is not installed"
	}
	if _, err := r.run(ctx, "/"); err != nil {
		return fmt.Sprintf("docker does not run %s: %s", dockerImage, oneLine(err))
	}
	return ""
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
