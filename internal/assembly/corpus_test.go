package assembly

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/sandbox"
)

// What runs in a restored sandbox, whether it waited or not, is what would run in
// one that was booted for it. The corpus is programs that say what they see of
// themselves and of the machine around them; each is run every way, and whatever
// can be observed has to be equal. What may differ (times, addresses, random
// numbers) a program prints as a property.

// pair runs attempts both ways.
type pair struct {
	*rig
	cold, restoring *runner.Runner
	pool            *sandbox.Pool  // nil unless it was asked for
	pooling         *runner.Runner // takes from it
}

func newPair(t *testing.T) *pair {
	t.Helper()
	r := newRig(t)
	r.print(t, r.python("pass")) // the environment holds from here on
	with := func(s *sandbox.Snapshots) *runner.Runner {
		supplier := *r.Runner.Supplier
		supplier.Snapshots = s
		return &runner.Runner{Supplier: &supplier}
	}
	p := &pair{rig: r, cold: with(nil), restoring: with(&sandbox.Snapshots{Dir: filepath.Join(t.TempDir(), "snapshots")})}
	p.warm(t)
	return p
}

// keepWaiting has clones of the snapshot wait for attempts.
func (p *pair) keepWaiting(t *testing.T) {
	t.Helper()
	supplier := *p.restoring.Supplier
	p.pool = sandbox.NewPool(&supplier, sandbox.PoolOptions{Max: 4})
	supplier.Pool = p.pool
	t.Cleanup(func() { must(t, p.pool.Close()) })
	p.pooling = &runner.Runner{Supplier: &supplier}
	must(t, p.pooling.Warm(p.attempt("pass"), 4))
}

// warm has the snapshot made for attempts with these limits.
func (p *pair) warm(t *testing.T, changes ...func(*job.Limits)) {
	t.Helper()
	must(t, p.restoring.Prepare(t.Context(), p.attempt("pass", changes...)))
}

// attempt is code that is told the time of the host.
func (p *pair) attempt(code string, changes ...func(*job.Limits)) runner.Attempt {
	a := p.python(code, changes...)
	a.Input = json.RawMessage(fmt.Sprintf(`{"now": %.3f}`, float64(time.Now().UnixMilli())/1000))
	return a
}

func (p *pair) via(t *testing.T, how *runner.Runner, a runner.Attempt) *runner.Result {
	t.Helper()
	res, err := how.Run(t.Context(), a, runner.Sinks{Keep: true})
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return res
}

// restored runs code in a clone of the snapshot.
func (p *pair) restored(t *testing.T, code string, changes ...func(*job.Limits)) *runner.Result {
	t.Helper()
	res := p.via(t, p.restoring, p.attempt(code, changes...))
	if res.Supply != job.SupplyRestore {
		t.Fatalf("its sandbox was supplied %s", res.Supply)
	}
	return res
}

// observed is all that anybody can tell about an attempt, except for how long
// it took and what it used.
type observed struct {
	Status         job.Status
	EndedBy        job.EndedBy
	Error          *job.Failure
	ExitCode       *int
	Phase          job.Phase
	Output, Note   string
	Artifacts      []job.Artifact
	Skipped        []string
	Lost           string
	Stdout, Stderr stream
}

type stream struct {
	Text      string
	Total     int64
	Truncated bool
}

func observe(res *runner.Result) observed {
	o := observed{
		Status: res.Status, EndedBy: res.EndedBy, Error: res.Error, ExitCode: res.ExitCode, Phase: res.Timing.PhaseAtExit,
		Output: string(res.Output), Note: res.OutputNote, Artifacts: res.Artifacts, Skipped: res.Skipped,
		Stdout: streamOf(res.Stdout), Stderr: streamOf(res.Stderr),
	}
	if res.Lost != nil {
		o.Lost = res.Lost.Error()
	}
	if o.Error != nil && o.Error.Type == "execution_timeout" { // its message holds times
		o.Error = &job.Failure{Type: o.Error.Type, Phase: o.Error.Phase}
	}
	return o
}

// address is a number that the layout of the address space decides.
var address = regexp.MustCompile(`\b0x[0-9a-f]{8,}`)

func streamOf(s runner.Stream) stream {
	return stream{Text: address.ReplaceAllString(string(s.Kept), "0x"), Total: s.Total, Truncated: s.Truncated}
}

// without leaves out the lines that begin like this.
func (s *stream) without(prefix string) {
	var kept strings.Builder
	for line := range strings.Lines(s.Text) {
		if strings.HasPrefix(line, prefix) {
			s.Total -= int64(len(line))
			continue
		}
		kept.WriteString(line)
	}
	s.Text = kept.String()
}

// alike runs code both ways and compares. It returns what was cold.
func (p *pair) alike(t *testing.T, c corpusCase, code string) *runner.Result {
	t.Helper()
	cold := p.via(t, p.cold, p.attempt(code, c.limits...))
	restored := p.via(t, p.restoring, p.attempt(code, c.limits...))
	if wanted := c.supply(); cold.Supply != job.SupplyCold || restored.Supply != wanted {
		t.Fatalf("the sandboxes were supplied %s and %s, not %s and %s", cold.Supply, restored.Supply, job.SupplyCold, wanted)
	}
	c.compare(t, "restored", cold, restored)
	if p.pooling != nil && c.limits == nil && c.supply() == job.SupplyRestore {
		c.compare(t, "pooled", cold, p.via(t, p.pooling, p.attempt(code)))
	}
	if !c.undecided {
		c.verdict().check(t, cold)
	}
	return cold
}

// compare holds what was run another way against what was run cold.
func (c corpusCase) compare(t *testing.T, way string, cold, other *runner.Result) {
	t.Helper()
	want, got := observe(cold), observe(other)
	for line := range c.differs {
		want.Stdout.without(line)
		got.Stdout.without(line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cold and %s differ (-cold +%s):\n%s", way, way, diff)
	}
}

func TestCorpus(t *testing.T) {
	p := newPair(t)
	p.keepWaiting(t)
	t.Cleanup(func() {
		if st := p.pool.Stats(context.Background()); st.Hits < 60 {
			t.Errorf("%d programs ran in a sandbox that had waited, %d did not", st.Hits, st.Misses)
		}
	})
	cases := corpusCases()
	files, err := filepath.Glob("testdata/corpus/*.py")
	must(t, err)
	if len(files) < 70 {
		t.Errorf("%d programs", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".py")
		c := cases[name]
		delete(cases, name)
		if c.limits != nil {
			p.warm(t, c.limits...)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, err := os.ReadFile(file)
			must(t, err)
			p.alike(t, c, string(code))
		})
	}
	for name := range cases {
		t.Errorf("there is no program %s", name)
	}
}
