package environment

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	erofs "github.com/erofs/go-erofs"
)

// when is the time of every file in a fake root, with nanoseconds that must
// not get into an image.
var when = time.Unix(1_700_000_000, 123_456_789)

// debian is a small host with a merged /usr. A value "-> x" is a link.
func debian() map[string]string {
	return map[string]string{
		"/bin":                               "-> usr/bin",
		"/sbin":                              "-> usr/sbin",
		"/lib":                               "-> usr/lib",
		"/lib64":                             "-> usr/lib64",
		"/usr/bin/python3":                   "-> python3.11",
		"/usr/bin/python3.11":                "x: 3.11.2\x00 and 13.11.9\x00",
		"/usr/bin/sh":                        "-> dash",
		"/usr/bin/dash":                      "x: dash",
		"/usr/bin/bash":                      "x: bash",
		"/usr/bin/awk":                       "-> /etc/alternatives/awk",
		"/etc/alternatives/awk":              "-> /usr/bin/mawk",
		"/usr/sbin/ldconfig":                 "x: ldconfig",
		"/usr/bin/mawk":                      "x: mawk",
		"/usr/lib/python3.11/os.py":          "os",
		"/usr/lib/python3.11/test/test_a.py": "test",
		"/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so": "not ELF",
		"/usr/lib/python3/dist-packages/six.py":                                "six",
		"/usr/lib/python3/dist-packages/numpy/__init__.py":                     "numpy",
		"/usr/lib/python3/dist-packages/numpy/tests/test_b.py":                 "test",
		"/usr/local/lib/python3.11/dist-packages/mine.py":                      "mine",
		"/usr/share/zoneinfo/Etc/UTC":                                          "TZif",
		"/usr/lib/os-release":                                                  "ID=debian\n",
		"/etc/ssl/certs/ca-certificates.crt":                                   "certificates",
		"/usr/lib/ssl/cert.pem":                                                "-> /etc/ssl/certs/ca-certificates.crt",
	}
}

// with returns base with changes; an empty value removes a path.
func with(base, changes map[string]string) map[string]string {
	base = maps.Clone(base)
	for name, content := range changes {
		if base[name] = content; content == "" {
			delete(base, name)
		}
	}
	return base
}

func fakeRoot(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		put(t, root, name, files[name])
	}
	return root
}

// put writes one path of a fake root: "-> x" is a link, "x: " a program.
func put(t testing.TB, root, name, content string) {
	t.Helper()
	at := filepath.Join(root, name)
	must(t, os.MkdirAll(filepath.Dir(at), 0o755))
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		must(t, os.Symlink(target, at))
		return
	}
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(content, "x: ") || strings.HasPrefix(content, "\x7fELF") {
		mode = 0o755
	}
	must(t, os.WriteFile(at, []byte(content), mode))
	must(t, os.Chtimes(at, when, when))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// later makes no file look as if it had changed just now.
func later() time.Time { return time.Now().Add(time.Hour) }

func newHost(t testing.TB, files map[string]string) *Host {
	return &Host{Root: fakeRoot(t, files), Cache: filepath.Join(t.TempDir(), "cache"), now: later}
}

func ensure(t testing.TB, h *Host) Environment {
	t.Helper()
	env, err := h.Ensure(t.Context(), nil)
	must(t, err)
	return env
}

// notes runs Ensure and returns its notes, a line each.
func notes(t testing.TB, h *Host) (Environment, string) {
	t.Helper()
	var all strings.Builder
	env, err := h.Ensure(t.Context(), func(p Progress) {
		if p.Note != "" {
			all.WriteString(p.Note + "\n")
		}
	})
	must(t, err)
	return env, all.String()
}

// inside is one path of an image, read back.
type inside struct {
	fs.FileInfo
	text string // content or link target
}

// readImage reads a whole image back with go-erofs.
func readImage(t testing.TB, image string) map[string]inside {
	t.Helper()
	f, err := os.Open(image)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	fsys, err := erofs.Open(f)
	must(t, err)
	all := map[string]inside{}
	must(t, fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		in := inside{FileInfo: info}
		switch {
		case info.Mode().IsRegular():
			r, err := fsys.Open(name)
			must(t, err)
			b, err := io.ReadAll(r)
			must(t, err)
			in.text = string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			in.text, err = fsys.(fs.ReadLinkFS).ReadLink(name)
			must(t, err)
		}
		all[filepath.Join("/", name)] = in
		return nil
	}))
	return all
}
