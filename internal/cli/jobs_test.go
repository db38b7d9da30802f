package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/runner"
	tako "github.com/takovm/tako/sdk/go"
)

// printed is what a command prints, standard output being a file.
func printed(t *testing.T, print func(r *remote)) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	must(t, err)
	defer f.Close()
	print(&remote{app: &app{streams: Streams{Out: f}}})
	data, err := os.ReadFile(f.Name())
	must(t, err)
	return string(data)
}

// What was left behind and what did not hold is said, or nobody knows.
func TestShowSaysWhatIsMissing(t *testing.T) {
	e := &tako.FullRecord{
		Sandbox:          &tako.Sandbox{Supply: "cold", Engine: "gvisor", EngineVersion: "1", Unenforced: []string{"memory", "cpus"}},
		SkippedArtifacts: []string{"\"big\": it is too large\x1b", "and 2 more"},
	}
	got := printed(t, func(r *remote) { r.execution(e) })
	for _, want := range []string{
		"Unenforced:  memory, cpus (this host cannot; see tako doctor)\n", "Skipped:     \"big\": it is too large?\n", "Skipped:     and 2 more\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// A limit that means nothing is refused, before a server is asked.
func TestListLimit(t *testing.T) {
	for _, list := range []string{"jobs", "dlq"} {
		for _, limit := range []string{"0", "-1", "1001"} {
			root := newApp(t).newRootCommand()
			root.SetArgs([]string{list, "list", "--limit", limit, "--url", "http://127.0.0.1:1"})
			err := root.ExecuteContext(t.Context())
			var exit *exitError
			if !errors.As(err, &exit) || exit.code != exitUsage {
				t.Errorf("%s list --limit %s: %v", list, limit, err)
			}
		}
	}
}

// Who stops a command that waits for a server is not told that it failed.
func TestInterruptedCall(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	stop(runner.ErrOperator)
	a := newApp(t)
	root := a.newRootCommand()
	root.SetArgs([]string{"jobs", "logs", "-f", "job", "--url", "http://127.0.0.1:1"})
	if code := a.report(ctx, root.ExecuteContext(ctx)); code != exitInterrupted || a.said(t) != "tako: interrupted\n" {
		t.Errorf("%d, %q", code, a.said(t))
	}
}

// What is asked for as JSON is JSON.
func TestDevAsJSON(t *testing.T) {
	got := printed(t, func(r *remote) {
		root := r.app.newRootCommand()
		root.SetArgs([]string{"dev", "down", "--json"})
		must(t, root.ExecuteContext(t.Context()))
	})
	if !json.Valid([]byte(got)) {
		t.Errorf("%q", got)
	}
}
