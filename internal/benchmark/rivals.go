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

// What is slower than patience does not work; a daemon that hangs is not waited
// for.
const (
	patience = 30 * time.Second
	prompt   = 10 * time.Second
)

// rival is another way to run the code.
type rival struct {
	name    string
	missing string // why it is not measured
	// counted says that the process's own time is all: bubblewrap does not wait
	// for what it starts, and docker's daemon does its work.
	counted bool
	args    []string
}

// ran is one run of it.
type ran struct {
	wall time.Duration
	cpu  time.Duration // 0 where it is not known
}

// others measures what else is installed, each in turn.
func (s *session) others(ctx context.Context) error {
	if !s.wants(Others) {
		return nil
	}
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
			ran, err := r.run(ctx, s.dir)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			tallies[i].add(ran.wall, "", err)
			tallies[i].cpu += ran.cpu
		}
	}
	for _, t := range tallies {
		r, err := t.finish(ctx, nil)
		if err != nil {
			return err
		}
		s.add(r)
	}
	return nil
}

func (r rival) run(ctx context.Context, dir string) (ran, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.args[0], r.args[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	begun := time.Now()
	out, err := cmd.Output()
	took := ran{wall: time.Since(begun)}
	if state := cmd.ProcessState; state != nil && r.counted {
		took.cpu = state.UserTime() + state.SystemTime()
	}
	switch {
	case ctx.Err() != nil:
		return took, fmt.Errorf("no end after %v", patience)
	case err != nil:
		return took, told(err)
	case string(out) != answer:
		return took, fmt.Errorf("it printed %q", out)
	}
	return took, nil
}

// told is an error of a command with the first line that it said.
func told(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
	return fmt.Errorf("%w: %.200s", err, line)
}

func python() rival {
	r := rival{name: pythonRow, counted: true, args: []string{pythonRow, "-c", code}}
	if _, err := os.Stat(r.args[0]); err != nil {
		r.missing = "it is not installed"
	}
	return r
}

// installed is what this machine has beside tako.
func installed(ctx context.Context) []rival {
	// The system's files, no network, processes of its own: as bubblewrap's
	// manual has it.
	jail := rival{name: "bubblewrap", args: []string{"bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc",
		"--dev", "/dev", "--tmpfs", "/tmp", pythonRow, "-c", code}}
	if _, err := exec.LookPath("bwrap"); err != nil {
		jail.missing = "bwrap is not installed"
	} else if _, err := jail.run(ctx, "/"); err != nil {
		jail.missing = "bwrap does not work here: " + oneLine(err)
	}
	list := []rival{python(), jail}
	broken := dockerMissing(ctx)
	for _, runtime := range []string{"runc", "runsc"} {
		r := rival{name: "docker run, " + runtime, missing: broken, args: []string{"docker", "run", "--rm", "--network=none", "--pull=never",
			"--runtime=" + runtime, dockerImage, "python", "-c", code}}
		if r.missing == "" {
			if _, err := r.run(ctx, "/"); err != nil {
				r.missing = fmt.Sprintf("docker does not run %s with %s: %s", dockerImage, runtime, oneLine(err))
			}
		}
		list = append(list, r)
	}
	return list
}

// dockerMissing says why docker cannot be measured, with whatever runtime.
func dockerMissing(ctx context.Context) string {
	if _, err := exec.LookPath("docker"); err != nil {
		return "docker is not installed"
	}
	ctx, cancel := context.WithTimeout(ctx, prompt)
	defer cancel()
	ask := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "docker", args...)
		cmd.WaitDelay = time.Second
		_, err := cmd.Output()
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %v", prompt)
		}
		return told(err)
	}
	if err := ask("version", "--format", "{{.Server.Version}}"); err != nil {
		return "docker's daemon does not answer: " + oneLine(err)
	}
	if err := ask("image", "inspect", dockerImage); err != nil {
		return fmt.Sprintf("docker has no image %s, and none is fetched (docker pull %s)", dockerImage, dockerImage)
	}
	return ""
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
