package assembly

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// shelf is a package index on loopback that wants a password, and counts what it
// is asked.
type shelf struct {
	*httptest.Server
	dir   string
	asked atomic.Int64
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{dir: t.TempDir()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if user, password, _ := r.BasicAuth(); user != "bob" || password != "the-password" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if file, ok := strings.CutPrefix(r.URL.Path, "/files/"); ok {
			http.ServeFile(w, r, filepath.Join(s.dir, filepath.Base(file)))
			return
		}
		s.page(w, strings.Trim(strings.TrimPrefix(r.URL.Path, "/simple"), "/"))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) page(w http.ResponseWriter, project string) {
	found, _ := filepath.Glob(filepath.Join(s.dir, strings.ReplaceAll(project, "-", "_")+"-*"))
	if len(found) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	for _, f := range found {
		fmt.Fprintf(w, `<a href="/files/%s">x</a>`, filepath.Base(f))
	}
}

// fill puts what these tests install on the shelf.
func (s *shelf) fill(t *testing.T) {
	t.Helper()
	takotest.Wheel(t, s.dir, "demo-a", "1.0", map[string]string{"demo_a/__init__.py": "import demo_b\nVALUE = 'a1 ' + demo_b.VALUE\n"}, "demo-b>=2")
	takotest.Wheel(t, s.dir, "demo-b", "2.1", map[string]string{"demo_b.py": "VALUE = 'b21'\n",
		"demo_b-2.1.data/scripts/demo-tool": "#!python\nprint('a tool')\n"})
	takotest.Wheel(t, s.dir, "demo-b", "1.0", map[string]string{"demo_b.py": "VALUE = 'b10'\n"})
	takotest.Wheel(t, s.dir, "conflict", "1.0", map[string]string{"conflict.py": ""}, "demo-b<2")
}

func newPackaged(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	cfg := settings(t)
	cfg.PackageIndexURL, cfg.NPMRegistryURL = "", ""
	change(cfg)
	must(t, cfg.Validate())
	l, err := NewLocal(t.Context(), cfg, Options{Executable: takotest.Binary(t)})
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return &rig{Local: l, cfg: cfg}
}

func (s *shelf) url() config.Secret {
	return config.Secret(strings.Replace(s.URL, "://", "://bob:the-password@", 1) + "/simple/")
}

// with runs code in an environment with packages.
func (r *rig) with(t *testing.T, env environment.Environment, code string) *runner.Result {
	t.Helper()
	a := r.python(code)
	a.Environment = env
	res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
	must(t, err)
	return res
}

// What is asked for is installed once, with what it needs, and every job that
// asks for it finds it; no job can change it, reach the index or see its
// password.
func TestPackages(t *testing.T) {
	shelf := newShelf(t)
	shelf.fill(t)
	r := newPackaged(t, func(c *config.Config) { c.PackageIndexURL = shelf.url() })
	var log strings.Builder
	env, err := r.Environment(t.Context(), Wanted{Requirements: []string{"demo-a"}}, &log)
	must(t, err)
	if text := log.String(); !strings.Contains(text, "Installed demo-a==1.0, demo-b==2.1") || strings.Contains(text, "the-password") {
		t.Errorf("the log says %s", text)
	}
	res := r.with(t, env, `
import demo_a, os, subprocess, sys
print(demo_a.VALUE, demo_a.__file__, os.path.exists(demo_a.__cached__), subprocess.run(["demo-tool"], capture_output=True, text=True).stdout.strip())
for path in "/packages/x", "/packages/demo_b.py":
    try: open(path, "w"); print("written")
    except OSError as e: print(e.strerror)
import socket
try: socket.create_connection(("packages.tako", 80), 5); print("reached")
except OSError: print("not reached")
`)
	want := "a1 b21 /packages/demo_a/__init__.py True a tool\nRead-only file system\nPermission denied\nnot reached\n"
	if got := string(res.Stdout.Kept); got != want {
		t.Errorf("it printed %q, not %q: %s", got, want, show(res))
	}
	lock, err := r.Lock(env.Digest)
	if want := "demo-a==1.0 --hash=sha256:" + sumOf(t, shelf.dir, "demo_a-1.0-py3-none-any.whl") + "\ndemo-b==2.1 --hash=sha256:" + sumOf(t, shelf.dir, "demo_b-2.1-py3-none-any.whl") + "\n"; err != nil || lock.Python != want || lock.NPM != nil {
		t.Errorf("the lock is %+v, %v", lock, err)
	}
	if _, err := r.Lock(strings.Repeat("0", 64)); job.KindOf(err) != job.KindNotFound {
		t.Errorf("a lock that is not there: %v", err)
	}
	asked := shelf.asked.Load()
	for _, again := range [][]string{{"demo-a"}, {"Demo_A", "demo.a"}} {
		if other, err := r.Environment(t.Context(), Wanted{Requirements: again}, nil); err != nil || other.Digest != env.Digest {
			t.Errorf("%q again: %v, %v", again, other.Digest, err)
		}
	}
	if found, err := r.Environment(t.Context(), Wanted{Digest: env.Digest, Requirements: []string{"demo-a"}}, nil); err != nil || found.Packages == nil {
		t.Errorf("by its digest: %+v, %v", found, err)
	}
	if n := shelf.asked.Load(); n != asked {
		t.Errorf("the index was asked %d times more", n-asked)
	}
	if plain := r.with(t, environment.Environment{}, "import demo_b"); plain.Status != job.Failed {
		t.Errorf("without packages: %s", show(plain))
	}
}

func sumOf(t *testing.T, dir, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, file))
	must(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(content))
}

// Who asks at the same time for the same waits for one installation.
func TestPackagesOnce(t *testing.T) {
	shelf := newShelf(t)
	shelf.fill(t)
	r := newPackaged(t, func(c *config.Config) { c.PackageIndexURL = shelf.url() })
	var all sync.WaitGroup
	digests := make([]string, 4)
	for i := range digests {
		all.Go(func() {
			env, err := r.Environment(t.Context(), Wanted{Requirements: []string{"demo-b"}}, nil)
			if err != nil {
				t.Error(err)
			}
			digests[i] = env.Digest
		})
	}
	all.Wait()
	for _, d := range digests {
		if d == "" || d != digests[0] {
			t.Errorf("they got %q", digests)
		}
	}
	if n := shelf.asked.Load(); n != 2 { // a page and a file
		t.Errorf("the index was asked %d times", n)
	}
}

// What cannot be installed says why, and leaves nothing.
func TestPackagesThatCannotBe(t *testing.T) {
	shelf := newShelf(t)
	shelf.fill(t)
	must(t, os.WriteFile(filepath.Join(shelf.dir, "broken-1.0-py3-none-any.whl"), []byte("no zip"), 0o600))
	must(t, os.WriteFile(filepath.Join(shelf.dir, "source-1.0.tar.gz"), []byte("no tar"), 0o600))
	takotest.Wheel(t, shelf.dir, "escaper", "1.0", map[string]string{"../../../../escaped.py": "", "escaper.py": ""})
	gone := newShelf(t)
	gone.Close()
	r := newPackaged(t, func(c *config.Config) { c.PackageIndexURL = shelf.url() })
	down := newPackaged(t, func(c *config.Config) { c.PackageIndexURL = gone.url() })
	locked := newPackaged(t, func(c *config.Config) { c.PackageIndexURL = config.Secret(shelf.URL + "/simple/") })
	for name, tc := range map[string]struct {
		rig  *rig
		asks []string
		kind job.Kind
		want string
	}{
		"a package that is not there": {r, []string{"nothere"}, job.KindDependency, "No matching distribution found for nothere"},
		"a version that is not there": {r, []string{"demo-b>=9"}, job.KindDependency, "from versions: 1.0, 2.1"},
		"a conflict":                  {r, []string{"conflict", "demo-a"}, job.KindDependency, "conflicting dependencies"},
		"no wheel":                    {r, []string{"source"}, job.KindDependency, "No matching distribution"},
		"a broken wheel":              {r, []string{"broken"}, job.KindDependency, "broken"},
		"a wheel that climbs out":     {r, []string{"escaper"}, job.KindDependency, "outside"},
		"an index that is down":       {down, []string{"demo-a"}, job.KindDependency, "does not answer"},
		"an index that is locked":     {locked, []string{"demo-a"}, job.KindDependency, "a user and a password"},
		"an option":                   {r, []string{"--index-url=http://evil"}, job.KindInvalid, "is not one"},
		"a URL":                       {r, []string{"demo-a@http://evil/x.whl"}, job.KindInvalid, "is not one"},
		"a path":                      {r, []string{"./demo"}, job.KindInvalid, "is not one"},
		"too many":                    {r, make([]string, 51), job.KindInvalid, "Too many requirements (51 > 50)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.rig.Environment(t.Context(), Wanted{Requirements: tc.asks}, nil)
			if job.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "the-password") {
				t.Errorf("%v", err)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(r.cfg.DataDir, "cache", "packages", "*"))
	must(t, err)
	for _, f := range left {
		if !strings.HasSuffix(f, ".lock") {
			t.Errorf("%s is left", f)
		}
	}
}

// A directory of wheels needs no index, and a job type with packages is built
// from it into a version that stays when there are newer ones.
func TestWheelsOfJobTypes(t *testing.T) {
	dir := t.TempDir()
	takotest.Wheel(t, dir, "demo-b", "1.0", map[string]string{"demo_b.py": "VALUE = 'b10'\n"})
	r := newPackaged(t, func(c *config.Config) { c.PackageWheelsDir, c.PackageOffline = dir, true })
	typ := config.JobType{Name: "mine", Requirements: []string{"demo-b"}}
	var log strings.Builder
	first, err := r.Build(t.Context(), typ, &log)
	must(t, err)
	takotest.Wheel(t, dir, "demo-b", "2.1", map[string]string{"demo_b.py": "VALUE = 'b21'\n"})
	second, err := r.Build(t.Context(), typ, &log)
	must(t, err)
	for ref, want := range map[job.EnvironmentRef]string{first: "b10\n", second: "b21\n"} {
		env, err := r.Environment(t.Context(), Wanted{Digest: ref.Digest, Requirements: typ.Requirements}, nil)
		must(t, err)
		if res := r.with(t, env, "import demo_b; print(demo_b.VALUE)"); string(res.Stdout.Kept) != want {
			t.Errorf("version %.12s: %s", ref.Digest, show(res))
		}
	}
	if _, err := r.Environment(t.Context(), Wanted{Digest: strings.Repeat("0", 64), Requirements: typ.Requirements}, nil); job.KindOf(err) != job.KindInvalid {
		t.Errorf("an environment that is gone: %v", err)
	}
}
