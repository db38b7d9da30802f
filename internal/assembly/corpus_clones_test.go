package assembly

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

func alone(t *testing.T, name string) string {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("testdata", "corpus", "alone", name))
	must(t, err)
	return string(code)
}

// drawnAtStart is what clones of one snapshot have in common, and why: their
// interpreter is one. It differs between snapshots, which are made anew every
// day (snapshotAge).
func drawnAtStart() map[string]string {
	return map[string]string{
		"~hash":      "the secret of hashes is drawn when the interpreter starts",
		"~layout":    "where things are in memory is decided by execve",
		"~AT_RANDOM": "the kernel hands it over at execve; libc makes its stack protector of it",
		"~boot_id":   "the machine was booted once",
	}
}

// Two clones draw other numbers, wherever a program may get them.
func TestCorpusClonesDiffer(t *testing.T) {
	p := newPair(t)
	code := alone(t, "drawn.py")
	cold := values(t, p.via(t, p.cold, p.attempt(code)))
	one, other := values(t, p.restored(t, code)), values(t, p.restored(t, code))
	if len(one) < 25 {
		t.Errorf("only %d values", len(one))
	}
	shared := drawnAtStart()
	for name, value := range one {
		_, same := shared[name]
		if (value == other[name]) != same || value == cold[name] {
			t.Errorf("%s: two clones have %s and %s; one that was booted, %s", name, value, other[name], cold[name])
		}
		delete(shared, name)
	}
	for name := range shared {
		t.Errorf("nothing is said about %s", name)
	}
}

// values reads lines of a name and a value.
func values(t *testing.T, res *runner.Result) map[string]string {
	t.Helper()
	if res.Status != job.Succeeded {
		t.Fatalf("it ended as %s", show(res))
	}
	all := map[string]string{}
	for line := range strings.Lines(string(res.Stdout.Kept)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if _, twice := all[name]; !ok || twice {
			t.Errorf("what is this: %q", line)
		}
		all[name] = value
	}
	return all
}

// User code finds nothing of what has held it, and what it tries on the way
// does not keep its run from being reported.
func TestCorpusHoldIsOutOfReach(t *testing.T) {
	p := newPair(t)
	res := p.alike(t, corpusCase{}, alone(t, "reach.py"))
	if got := string(res.Stdout.Kept); got != "[]\n" {
		t.Errorf("it reached %s", got)
	}
	if len(res.Artifacts) != 1 || res.Artifacts[0].SizeBytes != int64(len("all of it")) {
		t.Errorf("what it wrote is not there: %v, %v", res.Artifacts, res.Skipped)
	}
}
