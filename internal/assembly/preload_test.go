package assembly

import (
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// drawing are modules that keep random state, or something made of it.
func drawing() []string {
	return []string{"random", "uuid", "tempfile", "ssl", "secrets", "hashlib", "multiprocessing"}
}

// clone runs code in a clone of the snapshot with these modules in it.
func (p *pair) clone(t *testing.T, code string, modules ...string) *runner.Result {
	t.Helper()
	a := p.attempt(code)
	a.Preload = modules
	must(t, p.restoring.Prepare(t.Context(), a))
	res := p.via(t, p.restoring, a)
	if res.Supply != job.SupplyRestore {
		t.Fatalf("its sandbox was supplied %s", res.Supply)
	}
	return res
}

// What modules drew when they were imported is drawn anew in every clone.
func TestPreloadClonesDiffer(t *testing.T) {
	p := newPair(t)
	modules := drawing()
	if res := p.via(t, p.cold, p.attempt("import numpy.random")); res.Status == job.Succeeded {
		modules = append(modules, "numpy.random")
	}
	code := alone(t, "drawn.py")
	one, other := values(t, p.clone(t, code, modules...)), values(t, p.clone(t, code, modules...))
	shared := drawnAtStart()
	for name, value := range one {
		if _, same := shared[name]; !same && value == other[name] {
			t.Errorf("%s: two clones have %s", name, value)
		}
	}
}

// The modules are there, and nothing of how they came.
func TestPreloadUnseen(t *testing.T) {
	p := newPair(t)
	code := `
import sys
print(*[m for m in ("decimal", "xml.dom.minidom", "this") if m in sys.modules])
import gc, os, threading
def probe(): pass
print(sys.getprofile(), sys.gettrace(), threading.active_count(), os.listdir("/app"), sorted(os.listdir("/proc/self/fd")))
ours = [o for o in gc.get_objects() if type(o) is type(probe) and o.__code__.co_filename.startswith("/app")]
frame, above = sys._getframe(), []
while frame.f_back: frame = frame.f_back; above.append(frame.f_code.co_filename)
print(ours, above, sorted(n for n in globals() if not n.startswith("__")))
print("to", "both"); print("streams", file=sys.stderr)
`
	res := p.clone(t, code, "decimal", "xml.dom.minidom", "this") // which prints when it is imported
	want := "decimal xml.dom.minidom this\nNone None 1 [] ['0', '1', '2', '3']\n" +
		"[] [] ['above', 'frame', 'gc', 'os', 'ours', 'probe', 'sys', 'threading']\nto both\n"
	if got := string(res.Stdout.Kept); got != want || string(res.Stderr.Kept) != "streams\n" {
		t.Errorf("got %q and %q, want %q", got, res.Stderr.Kept, want)
	}
	if res := p.clone(t, "raise ValueError(3)", "decimal"); *res.ExitCode != 1 || !strings.Contains(string(res.Stderr.Kept), "line 1, in <module>\n    raise ValueError(3)\nValueError: 3\n") {
		t.Errorf("an exception: %s", show(res))
	}
}

// Modules that cannot be imported are the job's affair, which runs without.
func TestPreloadMissing(t *testing.T) {
	p := newPair(t)
	a := p.attempt("import sys; print('decimal' in sys.modules)")
	for name, module := range map[string]string{"missing": "no_such_module", "inner": "decimal.no_such"} {
		a.Preload = []string{"decimal", module}
		if err := p.restoring.Prepare(t.Context(), a); err == nil {
			t.Errorf("%s: a snapshot was made", name)
		}
		must(t, p.restoring.Prepare(t.Context(), p.attempt("pass")))
		res := p.via(t, p.restoring, a)
		if res.Supply != job.SupplyRestore || string(res.Stdout.Kept) != "False\n" {
			t.Errorf("%s: supplied %s: %s", name, res.Supply, show(res))
		}
	}
	a.Preload = []string{"os; os.system('x')"}
	if _, err := p.restoring.Run(t.Context(), a, runner.Sinks{}); job.KindOf(err) != job.KindInvalid {
		t.Errorf("what is no name of a module: %v", err)
	}
}

// Owners whose sandboxes may have nothing in common have snapshots of their own.
func TestPreloadTenants(t *testing.T) {
	p := newPair(t)
	hash := func(tenant string) string {
		a := p.attempt("print(hash('a'))")
		a.Tenant = tenant
		must(t, p.restoring.Prepare(t.Context(), a))
		return string(p.via(t, p.restoring, a).Stdout.Kept)
	}
	if one, other := hash("one"), hash("other"); one == other || one != hash("one") || other == hash("") {
		t.Errorf("hashes: %q %q", one, other)
	}
}
