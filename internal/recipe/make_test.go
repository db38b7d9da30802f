package recipe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
)

// kitchen makes images without sandboxes: installing gives always the same
// packages.
type kitchen struct {
	Maker
	dir       string // of the recipe
	data      string
	installed int
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func file(path, text string, mode fs.FileMode) environment.TreeEntry {
	return environment.TreeEntry{Path: path, Mode: mode, Size: int64(len(text)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func link(path, target string) environment.TreeEntry {
	return environment.TreeEntry{Path: path, Type: fs.ModeSymlink, Target: target}
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	k := &kitchen{dir: t.TempDir(), data: t.TempDir()}
	environments := filepath.Join(k.data, "environments")
	store, err := oci.Open(filepath.Join(k.data, "images"), environments, oci.Limits{})
	must(t, err)
	k.Store = store
	k.Machine = func(ctx context.Context) (environment.Environment, error) {
		return environment.PackTree(ctx, environments, environment.Tree{Name: "python", Entries: []environment.TreeEntry{
			file("/usr/bin/python3", "x", 0o755), file("/usr/lib/python3.11/os.py", "", 0o644), file("/opt/old/keep", "old", 0o644), link("/bin", "usr/bin"), link("/work", "/tmp/x"),
		}}, nil)
	}
	k.Base = func(_ context.Context, reference string) (environment.Environment, error) {
		return store.Find(reference)
	}
	k.Install = func(ctx context.Context, base environment.Environment, requirements []string) (environment.Environment, []string, error) {
		if requirements[0] == "bad" {
			return base, nil, job.Errorf(job.KindDependency, "No matching distribution found for bad")
		}
		k.installed++
		layer, err := environment.PackLayer(ctx, environments, []environment.TreeEntry{
			file("/demo.py", "x", 0o644), file("/demo-1.0.dist-info/METADATA", "x", 0o644), {Path: "/demo-1.0.dist-info", Type: fs.ModeDir},
			file("/node_modules/left/index.js", "y", 0o644), {Path: "/node_modules", Type: fs.ModeDir},
		}, nil)
		return base.With(layer), []string{"demo==1.0"}, err
	}
	k.write(t, "tool.py", "print()", 0o700)
	k.write(t, "models/a", "aa", 0o600)
	k.write(t, "models/deep/b", "bb", 0o755)
	must(t, os.Symlink("../../outside", filepath.Join(k.dir, "models", "out")))
	return k
}

func (k *kitchen) write(t testing.TB, name, text string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(k.dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chmod(path, mode))
}

func (k *kitchen) make(t testing.TB, text string) (*oci.Image, error) {
	t.Helper()
	r, err := Parse("r.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	r.Dir = k.dir
	return k.Make(t.Context(), r)
}

// contents of an image: "d", "f 755 text" or "l target", by path.
func contents(t testing.TB, image *oci.Image) map[string]string {
	t.Helper()
	c, err := environment.OpenContents(image.Environment.Image)
	must(t, err)
	defer c.Close()
	entries, err := c.Entries()
	must(t, err)
	all := map[string]string{}
	for _, e := range entries {
		switch e.Type {
		case fs.ModeDir:
			all[e.Path] = "d"
		case fs.ModeSymlink:
			all[e.Path] = "l " + e.Target
		default:
			r, err := e.Open()
			must(t, err)
			text, err := io.ReadAll(r)
			must(t, err)
			must(t, r.Close())
			all[e.Path] = "f " + e.Mode.String()[1:] + " " + string(text)
		}
	}
	return all
}

func TestMake(t *testing.T) {
	k := newKitchen(t)
	var notes []string
	k.Progress = func(p environment.Progress) {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	}
	image, err := k.make(t, `
name: acme/tool:1
requirements: [demo]
files:
  - {source: tool.py, path: /bin/tool}
  - {source: models, path: /opt/old}
  - {source: ./models/a, path: /srv/a, mode: "0755"}
env: {A: b, PYTHONPATH: /opt/old, LANG: C.UTF-8, HOME: /root}
workdir: /srv/work
user: "0"
`)
	must(t, err)
	got := contents(t, image)
	for path, want := range map[string]string{
		"/bin": "l usr/bin", "/usr/bin/tool": "f rwxr-xr-x print()", "/usr/bin/python3": "f rwxr-xr-x x", "/opt/old/keep": "f rw-r--r-- old",
		"/opt/old/a": "f rw-r--r-- aa", "/opt/old/deep/b": "f rwxr-xr-x bb", "/opt/old/out": "l ../../outside", "/srv/a": "f rwxr-xr-x aa", "/srv/work": "d",
		"/opt/tako/packages/demo.py": "f rw-r--r-- x",
	} {
		if got[path] != want {
			t.Errorf("%s is %q, not %q", path, got[path], want)
		}
	}
	env := image.Environment
	want := []string{
		"A=b", "HOME=/root", "LANG=C.UTF-8", "PATH=/opt/tako/packages/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/opt/tako/packages:/opt/old",
		"NODE_PATH=/opt/tako/packages/node_modules",
	}
	if !slices.Equal(env.Config.Env, want) || env.Config.Dir != "/srv/work" || env.Languages["python"].Command[0] != "/usr/bin/python3" {
		t.Errorf("it is run with %+v, %+v", env.Config, env.Languages)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "the variable HOME of r.yaml has no effect") {
		t.Errorf("notes: %q", notes)
	}
	if b := image.Built; b == nil || !slices.Equal(b.Installed, []string{"demo==1.0"}) || !slices.Equal(b.Requirements, []string{"demo"}) || len(image.Blobs) != 5 {
		t.Errorf("the record says %+v of %d blobs", b, len(image.Blobs))
	}
	layer, ok := environment.FindLayer(filepath.Join(k.data, "environments"), env.Digest)
	if python := env.With(layer).Languages["python"].Env; ok || !slices.Contains(python, "PYTHONPATH=/packages:/opt/tako/packages:/opt/old") {
		t.Errorf("with packages of a job: %q", python)
	}
}

// The same recipe and files are the same image, under whatever name; another base,
// file or variable makes another one.
func TestMakeAgain(t *testing.T) {
	k := newKitchen(t)
	const text = "files: [{source: models, path: /opt/m}]\nrequirements: [demo]\n"
	first, err := k.make(t, "name: a:1\n"+text)
	must(t, err)
	then := filepath.Join(k.dir, "models", "a")
	must(t, os.Chtimes(then, first.Pulled, first.Pulled.AddDate(-1, 0, 0)))
	must(t, os.Chmod(then, 0o664))
	second, err := k.make(t, "name: b:1\n"+text)
	must(t, err)
	if first.Manifest != second.Manifest || first.Digest != second.Digest || second.Reference != "docker.io/library/b:1" {
		t.Errorf("%s and %s", first.Manifest, second.Manifest)
	}
	derived, err := k.make(t, "name: c:1\nbase: b:1\nenv: {A: b}\n")
	must(t, err)
	if !slices.Equal(derived.Environment.Config.Env[2:], []string{"NODE_PATH=/opt/tako/packages/node_modules", "A=b"}) || contents(t, derived)["/opt/m/a"] == "" || derived.Built.BaseManifest != second.Manifest {
		t.Errorf("one on top of another: %+v", derived)
	}
	k.write(t, "models/a", "ab", 0o600)
	if third, err := k.make(t, "name: b:1\n"+text); err != nil || third.Digest == second.Digest {
		t.Errorf("another file: %v, %v", third, err)
	}
	if still, err := k.Store.Show("a:1"); err != nil || still.Digest != first.Digest {
		t.Errorf("the other name means %+v, %v", still, err)
	}
}

// What cannot be made says why, and leaves all as it was.
func TestMakeProblems(t *testing.T) {
	k := newKitchen(t)
	_, err := k.make(t, "name: good:1\nfiles: [{source: tool.py, path: /opt/tool}]\n")
	must(t, err)
	must(t, syscall.Mkfifo(filepath.Join(k.dir, "fifo"), 0o600))
	k.write(t, "odd/ok", "x", 0o600)
	must(t, syscall.Mkfifo(filepath.Join(k.dir, "odd", "pipe"), 0o600))
	k.write(t, "hides/.wh.x", "x", 0o600)
	k.write(t, "latin/\xff", "x", 0o600)
	k.write(t, "app/x", "x", 0o600)
	k.write(t, "tree/bin/x/y", "x", 0o600)
	must(t, os.Symlink("/etc/passwd", filepath.Join(k.dir, "escape")))
	socket, err := net.Listen("unix", filepath.Join(k.dir, "socket"))
	must(t, err)
	defer socket.Close()
	before := listing(t, k.data)
	for name, tc := range map[string]struct {
		text, want string
		kind       job.Kind
	}{
		"no name":                       {"files: []\n", "does not say what the image is called", job.KindInvalid},
		"itself as base":                {"name: good:1\nbase: docker.io/library/good:1\n", "cannot be its own base", job.KindInvalid},
		"a base that is not here":       {"name: x\nbase: nowhere:1\n", "the base: the image docker.io/library/nowhere:1 is not here", job.KindNotFound},
		"packages that cannot be":       {"name: good:1\nrequirements: [bad]\n", "No matching distribution", job.KindDependency},
		"a source that is not there":    {"name: x\nfiles:\n  - {source: none, path: /opt/a}\n", "r.yaml, line 3: the source none cannot be read: no such file", job.KindInvalid},
		"an absolute one not there":     {"name: x\nfiles: [{source: /none/x, path: /opt/a}]\n", "the source /none/x cannot be read", job.KindInvalid},
		"a link that leads out":         {"name: x\nfiles: [{source: escape, path: /opt/a}]\n", "the source escape cannot be read", job.KindInvalid},
		"a FIFO":                        {"name: x\nfiles: [{source: fifo, path: /opt/a}]\n", "fifo is a FIFO", job.KindInvalid},
		"a socket":                      {"name: x\nfiles: [{source: socket, path: /opt/a}]\n", "socket is a socket", job.KindInvalid},
		"a device":                      {"name: x\nfiles: [{source: /dev/null, path: /opt/a}]\n", "null is a device", job.KindInvalid},
		"a FIFO in a directory":         {"name: x\nfiles: [{source: odd, path: /opt/a}]\n", "the source odd: pipe is a FIFO", job.KindInvalid},
		"a whiteout in a directory":     {"name: x\nfiles: [{source: hides, path: /opt/a}]\n", "begins with .wh.", job.KindInvalid},
		"a name that is not UTF-8":      {"name: x\nfiles: [{source: latin, path: /opt/a}]\n", "is not UTF-8", job.KindInvalid},
		"a mode for a directory":        {"name: x\nfiles: [{source: models, path: /opt/a, mode: '0755'}]\n", "mode is for a file", job.KindInvalid},
		"a link of the base to /tmp":    {"name: x\nfiles: [{source: tool.py, path: /work/a}]\n", "a directory that a sandbox has of its own", job.KindInvalid},
		"one path twice":                {"name: x\nfiles: [{source: tool.py, path: /opt/a}, {source: models/a, path: /opt/a}]\n", "two sources come to /opt/a", job.KindInvalid},
		"one path twice, through links": {"name: x\nfiles: [{source: tool.py, path: /bin/a}, {source: models/a, path: /usr/bin/a}]\n", "two sources come to /usr/bin/a", job.KindInvalid},
		"below a file":                  {"name: x\nfiles: [{source: tool.py, path: /opt/a}, {source: models/a, path: /opt/a/b}]\n", "which is no directory", job.KindInvalid},
		"below a file of the base":      {"name: x\nfiles: [{source: tool.py, path: /opt/old/keep/a}]\n", "/opt/old/keep is no directory in the base", job.KindInvalid},
		"in place of a directory":       {"name: x\nfiles: [{source: tool.py, path: /opt/old}]\n", "is a directory in the base", job.KindInvalid},
		"a directory in a file's place": {"name: x\nfiles: [{source: models, path: /opt/old/keep}]\n", "there is a file already", job.KindInvalid},
		"a workdir that is a file":      {"name: x\nworkdir: /opt/old/keep\n", "there is a file already", job.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			image, err := k.make(t, tc.text)
			if job.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, %v", image, err)
			}
		})
	}
	if after := listing(t, k.data); !slices.Equal(before, after) {
		t.Errorf("before there was\n%s\nand now\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	none := newKitchen(t)
	none.Machine = func(context.Context) (environment.Environment, error) {
		return environment.Environment{}, job.Errorf(job.KindUnavailable, "this machine has no Python in /usr/bin/python3")
	}
	if _, err := none.make(t, "name: x\n"); job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "names no base, and is to be made of this machine's Python: this machine has no Python") {
		t.Errorf("no base and no Python: %v", err)
	}
}

// An end that comes while files are copied, or a file that changes, leaves what the
// name meant, and nothing else.
func TestMakeInterrupted(t *testing.T) {
	k := newKitchen(t)
	first, err := k.make(t, "name: a:1\nfiles: [{source: models, path: /opt/m}]\n")
	must(t, err)
	k.write(t, "models/more", strings.Repeat("m", 3<<20), 0o600)
	before := listing(t, k.data)
	for _, phase := range []environment.Phase{oci.PhaseCopy, oci.PhaseUnpack, environment.PhaseScan, environment.PhasePack, environment.PhaseVerify} {
		ctx, cancel := context.WithCancel(t.Context())
		k.Progress = func(p environment.Progress) {
			if p.Phase == phase {
				cancel()
			}
		}
		r, err := Parse("r", []byte("name: a:1\nfiles: [{source: models, path: /opt/m}]\n"))
		must(t, err)
		r.Dir = k.dir
		if _, err := k.Make(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("an end while it is in %s: %v", phase, err)
		}
		cancel()
		if after := listing(t, k.data); !slices.Equal(before, after) {
			t.Errorf("an end while it is in %s: before there was\n%s\nand now\n%s", phase, strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}
	k.Progress = func(p environment.Progress) {
		if p.Phase == oci.PhaseCopy {
			k.write(t, "models/more", "less", 0o600)
		}
	}
	if _, err := k.make(t, "name: a:1\nfiles: [{source: models, path: /opt/m}]\n"); job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), "has changed while it was copied") {
		t.Errorf("a file that changes: %v", err)
	}
	if still, err := k.Store.Show("a:1"); err != nil || still.Digest != first.Digest || !slices.Equal(before, listing(t, k.data)) {
		t.Errorf("the name means %+v, %v", still, err)
	}
}

// listing is every file below a directory but locks.
func listing(t testing.TB, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(name, "lock") {
			names = append(names, name)
		}
		return err
	}))
	return names
}
