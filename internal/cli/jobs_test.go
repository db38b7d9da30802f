package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
