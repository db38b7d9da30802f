package assembly

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/recipe"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// A recipe with packages and files is an image, also on top of another; packages
// of a job type come on top of its own, which stay importable. A name of what was
// built is not pulled.
func TestRecipe(t *testing.T) {
	dir := t.TempDir()
	takotest.Wheel(t, dir, "demo-a", "1.0", map[string]string{"demo_a.py": "import demo_b\nVALUE = 'a ' + demo_b.VALUE\n"})
	takotest.Wheel(t, dir, "demo-b", "1.0", map[string]string{"demo_b.py": "VALUE = 'b10'\n", "demo_b-1.0.data/scripts/demo-tool": "#!python\nprint('a tool')\n"})
	takotest.Wheel(t, dir, "demo-b", "2.0", map[string]string{"demo_b.py": "VALUE = 'b20'\n"})
	r := newPackaged(t, func(c *config.Config) { c.PackageWheelsDir, c.PackageOffline = dir, true })
	must(t, os.WriteFile(filepath.Join(dir, "tool.py"), []byte("print('from a file')\n"), 0o600))
	build := func(text string) *oci.Image {
		t.Helper()
		rec, err := recipe.Parse("r.yaml", []byte(text))
		must(t, err)
		rec.Dir = dir
		var log strings.Builder
		image, err := BuildRecipe(t.Context(), r.cfg, rec, RecipeOptions{Log: &log, Executable: takotest.Binary(t)})
		if err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		return image
	}
	first := build("name: acme/data:1\nrequirements: [demo-a, demo-b==1.0]\nfiles: [{source: tool.py, path: /opt/tool/tool.py}]\nenv: {A: b}\nworkdir: /opt/tool\n")
	look := func(w Wanted, code, want string) {
		t.Helper()
		env, err := r.Environment(t.Context(), w, nil)
		must(t, err)
		if res := r.with(t, env, code); string(res.Stdout.Kept) != want {
			t.Errorf("%+v printed %q, not %q: %s", w, res.Stdout.Kept, want, show(res))
		}
	}
	const code = "import demo_a, os, subprocess\nprint(demo_a.VALUE, demo_a.__file__, os.environ['A'], subprocess.run(['demo-tool'], capture_output=True, text=True).stdout.strip())"
	look(Wanted{Image: "acme/data:1"}, code, "a b10 /opt/tako/packages/demo_a.py b a tool\n")
	look(Wanted{Image: "docker.io/acme/data:1", Pull: true, Requirements: []string{"demo-b==2.0"}}, code, "a b20 /opt/tako/packages/demo_a.py b a tool\n")

	if !first.Environment.Languages["python"].Preloads {
		t.Error("jobs in it cannot have modules imported ahead")
	}
	ahead := r.python("import sys; print('demo_a' in sys.modules)")
	ahead.Environment, ahead.Preload = first.Environment, []string{"demo_a"}
	must(t, r.Runner.Prepare(t.Context(), ahead))
	if res, err := r.Run(t.Context(), ahead, runner.Sinks{Keep: true}); err != nil || string(res.Stdout.Kept) != "True\n" || res.Supply != job.SupplyRestore {
		t.Errorf("imported ahead: %v, %s", err, show(res))
	}
	a := r.python("")
	a.Environment, a.Command, a.Code = first.Environment, []string{"python3", "tool.py"}, nil
	if res := r.run(t, a); string(res.Stdout.Kept) != "from a file\n" {
		t.Errorf("its command printed %s", show(res))
	}
	second := build("name: acme/data:2\nbase: acme/data:1\nrequirements: [demo-b==2.0]\n")
	look(Wanted{Image: "acme/data:2"}, "import demo_b, demo_a; print(demo_b.VALUE, demo_a.VALUE, demo_b.__file__)", "b20 a b20 /opt/tako/packages-2/demo_b.py\n")
	if second.Built.Base != "docker.io/acme/data:1" || second.Built.BaseManifest != first.Manifest {
		t.Errorf("the record says %+v", second.Built)
	}
	typ := config.JobType{Name: "mine", Image: "acme/data:1", Requirements: []string{"demo-b==2.0"}}
	ref, err := r.Build(t.Context(), typ, &strings.Builder{})
	must(t, err)
	look(attempt.Wanted{Digest: ref.Digest}, "import demo_a; print(demo_a.VALUE)", "a b20\n")

	// Its environment is gone: nobody's image of that name is fetched.
	must(t, os.Remove(second.Environment.Image))
	_, err = Image(t.Context(), r.cfg, "acme/data:2", oci.Options{})
	if job.KindOf(err) != job.KindNotFound || !strings.Contains(err.Error(), "tako env build") {
		t.Errorf("gone: %v", err)
	}
	if _, err := r.Environment(t.Context(), Wanted{Image: "acme/data:2", Pull: true}, nil); job.KindOf(err) != job.KindNotFound {
		t.Errorf("gone, for a job type: %v", err)
	}
}
