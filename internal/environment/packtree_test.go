package environment

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	erofs "github.com/erofs/go-erofs"

	"github.com/takovm/tako/internal/job"
)

// treeOf makes a tree: a value "-> x" is a link, "/" a directory, "x: y" a
// program.
func treeOf(config ImageConfig, files map[string]string) Tree {
	t := Tree{Name: "test", Config: config}
	for name, content := range files {
		e := TreeEntry{Path: name, Mode: 0o644}
		switch target, isLink := strings.CutPrefix(content, "-> "); {
		case isLink:
			e.Type, e.Target = fs.ModeSymlink, target
		case content == "/":
			e.Type, e.Mode = fs.ModeDir, 0o755
		default:
			if strings.HasPrefix(content, "x: ") {
				e.Mode = 0o755
			}
			e.Size = int64(len(content))
			e.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
		}
		t.Entries = append(t.Entries, e)
	}
	return t
}

func packTree(t *testing.T, config ImageConfig, files map[string]string) (Environment, fs.FS, []string) {
	t.Helper()
	var notes []string
	env, err := PackTree(t.Context(), t.TempDir(), treeOf(config, files), func(p Progress) {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(env.Image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fsys, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return env, fsys, notes
}

// Whatever an image has in the places where sandboxes have something of their
// own, there is a directory, and the accounts are files.
func TestPackTreeFurnishes(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"nothing":              {},
		"links in the way":     {"/tmp": "-> /var/tmp", "/proc": "-> /etc", "/home": "-> /usr/home", "/.tako": "-> ..", "/etc": "-> /usr/etc", "/usr/etc/passwd": "evil"},
		"files in the way":     {"/tmp": "x", "/dev": "x", "/home/sandbox": "x", "/etc": "x", "/app": "x"},
		"accounts in the way":  {"/etc/passwd/x": "x", "/etc/group": "-> /proc/self/mem", "/etc/hosts": "-> /dev/null", "/etc/resolv.conf": "-> ../run/x"},
		"content in the way":   {"/app/x": "x", "/dev/null": "x", "/.tako/init": "evil", "/output/x": "x"},
		"a loop of links":      {"/etc/passwd": "-> group", "/etc/group": "-> passwd"},
		"accounts without end": {"/etc/passwd": "root:x:0:0", "/etc/group": "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, fsys, _ := packTree(t, ImageConfig{}, files)
			for _, dir := range mountPoints {
				if info, err := fs.Lstat(fsys, dir[1:]); err != nil || !info.IsDir() || info.Mode().Perm() != 0o755 {
					t.Errorf("%s: %v, %v", dir, info, err)
				}
				below, err := fs.ReadDir(fsys, dir[1:])
				if err != nil || len(below) > 0 && dir != "/home" {
					t.Errorf("%s has %v, %v", dir, below, err)
				}
			}
			for _, name := range []string{"etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf"} {
				info, err := fs.Lstat(fsys, name)
				if err != nil || !info.Mode().IsRegular() {
					t.Errorf("%s: %v, %v", name, info, err)
					continue
				}
				content, err := fs.ReadFile(fsys, name)
				if err != nil || path.Dir(name) == "etc" && path.Base(name) != "resolv.conf" && path.Base(name) != "hosts" && !bytes.Contains(content, []byte(":1000:")) {
					t.Errorf("%s is %q, %v", name, content, err)
				}
			}
		})
	}
}

func TestPackTreeUser(t *testing.T) {
	t.Parallel()
	accounts := map[string]string{
		"/etc/passwd": "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/:/bin/sh\nweb:x:33:44::/:/bin/sh\nadmin:x:0:0::/:/bin/sh\nlow:x:12:0::/:/bin/sh\n",
		"/etc/group":  "root:x:0:\nnode:x:1000:\nstaff:x:50:web\n",
	}
	for user, want := range map[string][2]int{
		"": {1000, 1000}, "root": {1000, 1000}, "0": {1000, 1000}, "0:0": {1000, 1000}, "admin": {1000, 1000},
		"1234": {1234, 1000}, "1234:5678": {1234, 5678}, "web": {33, 44}, "33": {33, 44}, "web:staff": {33, 50}, "web:0": {33, 1000},
		"low": {12, 1000}, "nobody": {1000, 1000}, "4294967296": {1000, 1000}, "2147483647": {1000, 1000}, "-1": {1000, 1000}, "00": {1000, 1000}, "1234:nowhere": {1234, 1000},
	} {
		env, fsys, _ := packTree(t, ImageConfig{User: user}, accounts)
		if got := [2]int{env.Config.UID, env.Config.GID}; got != want {
			t.Errorf("user %q is %v, want %v", user, got, want)
		}
		content, err := fs.ReadFile(fsys, "etc/passwd")
		if err != nil || !strings.HasPrefix(string(content), accounts["/etc/passwd"]) || strings.Count(string(content), ":1000:1000:") != 1 {
			t.Errorf("user %q: /etc/passwd is %q, %v", user, content, err)
		}
	}
}

func TestPackTreeLanguages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files   map[string]string
		path    string
		version string
		want    map[string]string // language → program
	}{
		"nothing": {map[string]string{}, "", "", map[string]string{}},
		"Debian": {map[string]string{
			"/bin": "-> usr/bin", "/usr/bin/python3": "-> python3.11", "/usr/bin/python3.11": "x: 3.11.2\x00", "/usr/bin/bash": "x: bash",
		}, "", "3.11.2", map[string]string{"python": "/usr/bin/python3", "bash": "/usr/bin/bash"}},
		"an image of Python": {map[string]string{
			"/usr/bin/python3": "-> python3.11", "/usr/bin/python3.11": "x: 3.11.2\x00",
			"/usr/local/bin/python3": "-> python3.13", "/usr/local/bin/python3.13": "x: small", "/usr/local/lib/libpython3.13.so.1.0": "3.13.5\x00",
		}, "/usr/local/bin:/usr/bin", "3.13.5", map[string]string{"python": "/usr/local/bin/python3"}},
		"along the path": {map[string]string{
			"/opt/venv/bin/python": "-> /usr/local/bin/python3.12", "/usr/local/bin/python3.12": "x: ", "/opt/node/node": "x: ", "/usr/bin/node": "x: ",
		}, "relative:/opt/venv/bin:/opt/node", "3.12", map[string]string{"python": "/opt/venv/bin/python", "node": "/opt/node/node"}},
		"a name that does not tell": {map[string]string{"/usr/bin/python3": "x: 3.10.4\x00", "/usr/lib/python3.10/os.py": "os"}, "", "3.10.4", map[string]string{"python": "/usr/bin/python3"}},
		"Python 2":                  {map[string]string{"/usr/bin/python": "-> python2.7", "/usr/bin/python2.7": "x: "}, "", "", map[string]string{}},
		"what sandboxes hide":       {map[string]string{"/app/bin/bash": "x: ", "/tmp/node": "x: "}, "/app/bin:/tmp", "", map[string]string{}},
		"no programs":               {map[string]string{"/bin/bash": "text", "/usr/bin/node": "/", "/usr/bin/python3": "-> python3"}, "", "", map[string]string{}},
		"links to outside":          {map[string]string{"/usr/bin/bash": "-> ../../../../../../bin/bash"}, "", "", map[string]string{}},
	} {
		config := ImageConfig{}
		if c.path != "" {
			config.Env = []string{"PATH=/nowhere", "PATH=" + c.path}
		}
		env, _, _ := packTree(t, config, c.files)
		got := map[string]string{}
		for l, language := range env.Languages {
			got[l] = language.Command[0]
		}
		if !maps.Equal(got, c.want) || env.Version != c.version {
			t.Errorf("%s: %v and version %q, want %v and %q", name, got, env.Version, c.want, c.version)
		}
	}
}

func TestPackTreeDirectory(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/srv/app/x": "x", "/l": "-> srv/app", "/out": "-> ../../..", "/file": "x", "/app/x": "x"}
	for dir, want := range map[string]string{
		"": "", "/": "/", "/srv/app": "/srv/app", "/l": "/srv/app", "/l/../app/": "/srv/app", "/file": "", "/nowhere": "", "/app": "", "/app/sub": "", "/out/etc": "/etc", "srv": "/srv",
	} {
		env, _, _ := packTree(t, ImageConfig{WorkingDir: dir}, files)
		if env.Config.Dir != want {
			t.Errorf("%q is %q, want %q", dir, env.Config.Dir, want)
		}
	}
}

// Equal trees are equal images, whatever the order; all else is another one.
func TestPackTreeDigest(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/bin/sh": "x: sh", "/l": "-> bin", "/d": "/", "/big": strings.Repeat("b", 10_000)}
	dir := t.TempDir()
	pack := func(tree Tree) Environment {
		env, err := PackTree(t.Context(), dir, tree, nil)
		if err != nil {
			t.Fatal(err)
		}
		return env
	}
	first := pack(treeOf(ImageConfig{}, files))
	seen := map[string]string{first.Digest: "the first"}
	for name, change := range map[string]func(*Tree){
		"a mode":     func(t *Tree) { t.Entries[0].Mode ^= 0o40 },
		"an owner":   func(t *Tree) { t.Entries[0].UID = 7 },
		"a variable": func(t *Tree) { t.Config.Env = []string{"A=b"} },
		"a command":  func(t *Tree) { t.Config.Cmd = []string{"x"} },
		"a user":     func(t *Tree) { t.Config.User = "7" },
		"a file":     func(t *Tree) { t.Entries = t.Entries[1:] },
	} {
		tree := treeOf(ImageConfig{}, files)
		slices.SortFunc(tree.Entries, func(a, b TreeEntry) int { return strings.Compare(a.Path, b.Path) })
		slices.Reverse(tree.Entries)
		if again := pack(tree); again.Digest != first.Digest {
			t.Error("another order is another image")
		}
		tree = treeOf(ImageConfig{}, files)
		slices.SortFunc(tree.Entries, func(a, b TreeEntry) int { return strings.Compare(a.Path, b.Path) })
		change(&tree)
		env := pack(tree)
		if was := seen[env.Digest]; was != "" {
			t.Errorf("%s: the same digest as %s", name, was)
		}
		seen[env.Digest] = name
	}
	// What the host's environment prunes does not touch these, and the other way.
	if _, ok := FindTree(dir, first.Digest); !ok {
		t.Error("it is not found again")
	}
	if _, ok := FindTree(dir, "../../etc/passwd"); ok {
		t.Error("a path is a digest")
	}
	if _, err := PruneTrees(t.Context(), dir, map[string]bool{first.Digest: true}); err != nil {
		t.Fatal(err)
	}
	images, err := os.ReadDir(dir)
	if err != nil || len(images) != 3 { // image, sidecar, lock
		t.Errorf("left: %v, %v", images, err)
	}
}

func TestPackTreeRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"relative", "/a/../b", "/a/", "//a", ""} {
		_, err := PackTree(t.Context(), t.TempDir(), treeOf(ImageConfig{}, map[string]string{name: "x"}), nil)
		if job.KindOf(err) != job.KindInternal {
			t.Errorf("%q: %v", name, err)
		}
	}
}
