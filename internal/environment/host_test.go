package environment

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	erofs "github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
)

func TestEnsurePacksThisHostsPython(t *testing.T) {
	env, told := notes(t, newHost(t, debian()))
	if told != "" {
		t.Errorf("notes about an ordinary host:\n%s", told)
	}
	if env.Name != "python" || env.Version != "3.11.2" || len(env.Digest) != 64 {
		t.Errorf("environment %+v", env)
	}
	st, err := os.Stat(env.Image)
	must(t, err)
	if !filepath.IsAbs(env.Image) || filepath.Base(env.Image) != env.Digest+".erofs" || env.Size != st.Size() {
		t.Errorf("image %s of %d bytes, want %d", env.Image, env.Size, st.Size())
	}
	if !env.Languages["python"].Preloads || env.Languages["bash"].Preloads {
		t.Errorf("who preloads: %+v", env.Languages)
	}
	all := readImage(t, env.Image)
	for name, want := range map[string]string{
		"/bin":                                            "usr/bin",
		"/usr/bin/python3":                                "python3.11",
		"/usr/bin/python":                                 "python3",
		"/etc/alternatives/awk":                           "/usr/bin/mawk",
		"/usr/lib/python3.11/os.py":                       "os",
		"/usr/lib/python3/dist-packages/six.py":           "six",
		"/usr/lib/python3/dist-packages/" + hookName:      preloadHook,
		"/usr/local/lib/python3.11/dist-packages/mine.py": "mine",
		"/etc/ssl/certs/ca-certificates.crt":              "certificates",
		"/etc/localtime":                                  "/usr/share/zoneinfo/Etc/UTC",
		"/etc/passwd":                                     passwd,
		"/etc/resolv.conf":                                resolver,
	} {
		if got, ok := all[name]; !ok || got.text != want {
			t.Errorf("%s is %q (%v), want %q", name, got.text, ok, want)
		}
	}
	for _, dir := range mountPoints {
		if got, ok := all[dir]; !ok || !got.IsDir() || got.Mode().Perm() != 0o755 {
			t.Errorf("mount point %s: %v", dir, got.FileInfo)
		}
	}
	for _, name := range []string{
		"/usr/lib/python3.11/test", "/usr/lib/python3/dist-packages/numpy/tests", "/etc/machine-id", "/etc/hostname", "/etc/shadow",
	} {
		if _, ok := all[name]; ok {
			t.Errorf("%s is in the image", name)
		}
	}
}

func TestImageIsRootsAndNormal(t *testing.T) {
	files := with(debian(), map[string]string{"/usr/lib/python3/dist-packages/big.py": strings.Repeat("big ", 5000)})
	h := newHost(t, files)
	must(t, os.Chmod(filepath.Join(h.Root, "/usr/lib/python3/dist-packages/six.py"), 0o666))
	must(t, os.Chmod(filepath.Join(h.Root, "/usr/lib/python3"), 0o777|fs.ModeSetgid))
	for name, got := range readImage(t, ensure(t, h).Image) {
		st := got.Sys().(*erofs.Stat)
		if st.UID != 0 || st.GID != 0 || len(st.Xattrs) != 0 {
			t.Errorf("%s belongs to %d:%d, has attributes %v", name, st.UID, st.GID, st.Xattrs)
		}
		want := fs.FileMode(0o644)
		switch {
		case got.Mode()&fs.ModeSymlink != 0:
			continue
		case got.IsDir() || strings.HasPrefix(files[name], "x: "):
			want = 0o755
		}
		if got.Mode()&(fs.ModePerm|fs.ModeSetgid|fs.ModeSetuid) != want {
			t.Errorf("%s has mode %v, want %v", name, got.Mode(), want)
		}
		if _, host := files[name]; host && (st.Mtime != uint64(when.Unix()) || st.MtimeNs != 0) {
			t.Errorf("%s has time %d.%09d, want %d", name, st.Mtime, st.MtimeNs, when.Unix())
		}
		if host, ok := files[name]; ok && got.text != host {
			t.Errorf("%s has %d bytes, want %d", name, len(got.text), len(host))
		}
		// gVisor cannot map files whose content is next to the inode.
		if got.Mode().IsRegular() && st.InodeLayout != 0 {
			t.Errorf("%s has layout %d, want plain blocks", name, st.InodeLayout)
		}
	}
}

func TestNoPython(t *testing.T) {
	cases := map[string]map[string]string{
		"none":             {"/usr/bin/python3": ""},
		"a dangling link":  {"/usr/bin/python3.11": ""},
		"one in /opt":      {"/usr/bin/python3": "-> /opt/python3", "/opt/python3": "x: python"},
		"no library of it": {"/usr/lib/python3.11/os.py": ""},
	}
	for name, changes := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, with(debian(), changes))
			_, err := h.Ensure(t.Context(), nil)
			if job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "apt-get install python3") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			onlyIn(t, h.Cache, "python.lock")
		})
	}
}

func TestInterpreterWithoutAMinorVersion(t *testing.T) {
	env := ensure(t, newHost(t, with(debian(), map[string]string{
		"/usr/bin/python3": "x: 3.11.2\x00", "/usr/bin/python3.11": "", "/usr/lib/python3.9/site.py": "no os.py here",
	})))
	if env.Version != "3.11.2" {
		t.Errorf("version %s", env.Version)
	}
	bare := ensure(t, newHost(t, with(debian(), map[string]string{"/usr/bin/python3.11": "x: stripped"})))
	if bare.Version != "3.11" {
		t.Errorf("version %s of an interpreter that does not tell", bare.Version)
	}
}

func TestHostWithoutMergedUsr(t *testing.T) {
	h := newHost(t, with(debian(), map[string]string{
		"/bin": "", "/sbin": "", "/lib": "", "/lib64": "", "/usr/bin/bash": "", "/usr/bin/dash": "", "/usr/bin/sh": "",
		"/bin/bash": "x: bash", "/bin/sh": "-> dash", "/bin/dash": "x: dash",
		"/lib/x86_64-linux-gnu/libc.so.6": "not ELF", "/lib/x86_64-linux-gnu/libgcc_s.so.1": "x: gcc",
	}))
	env := ensure(t, h)
	all := readImage(t, env.Image)
	if all["/bin/bash"].text != "x: bash" || all["/bin/sh"].text != "dash" || all["/lib/x86_64-linux-gnu/libgcc_s.so.1"].text != "x: gcc" {
		t.Errorf("the image lacks what is in /bin and /lib: %v", all)
	}
	if _, ok := env.Languages["bash"]; !ok {
		t.Errorf("languages %v lack bash", env.Languages)
	}
}

func TestLanguages(t *testing.T) {
	env := ensure(t, newHost(t, with(debian(), map[string]string{"/usr/bin/node": "x: node", "/usr/bin/bash": ""})))
	want := map[string]string{"python": "main.py", "node": "main.js"}
	got := map[string]string{}
	for name, language := range env.Languages {
		got[name] = language.File
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("languages (-want +got):\n%s", diff)
	}
}

func TestSameHostSameBytes(t *testing.T) {
	a, b := newHost(t, debian()), newHost(t, debian())
	one, two := ensure(t, a), ensure(t, b)
	if one.Digest != two.Digest {
		t.Fatalf("digests %s and %s", one.Digest, two.Digest)
	}
	x, err := os.ReadFile(one.Image)
	must(t, err)
	y, err := os.ReadFile(two.Image)
	must(t, err)
	if !bytes.Equal(x, y) {
		t.Error("equal digests, different bytes")
	}
}

func TestProgressCountsEveryByte(t *testing.T) {
	h := newHost(t, with(debian(), map[string]string{"/usr/lib/python3/dist-packages/big.py": strings.Repeat("x", 9<<20)}))
	last := map[Phase]Progress{}
	_, err := h.Ensure(t.Context(), func(p Progress) {
		if p.Done < last[p.Phase].Done {
			t.Errorf("progress went back: %+v after %+v", p, last[p.Phase])
		}
		last[p.Phase] = p
	})
	must(t, err)
	for _, phase := range []Phase{PhaseScan, PhasePack, PhaseVerify} {
		if p := last[phase]; p.Total < 9<<20 || p.Done != p.Total {
			t.Errorf("phase %s ended at %+v", phase, p)
		}
	}
	_, err = h.Ensure(t.Context(), func(p Progress) { t.Errorf("report %+v when nothing changed", p) })
	must(t, err)
}

func TestVersionIn(t *testing.T) {
	for content, want := range map[string]string{
		"\x003.11.2\x00":             "3.11.2",
		"3.11.2+\x00":                "3.11.2+",
		"a3.11.0rc1\x00":             "3.11.0rc1",
		"13.11.9\x003.11.4\x00":      "3.11.4",
		"3.11.\x00 3.11.x\x00 3.11.": "",
		"3.11.2 and more\x00":        "",
		"":                           "",
	} {
		if got := versionIn([]byte(content), "3.11"); got != want {
			t.Errorf("version in %q is %q, want %q", content, got, want)
		}
	}
}

// onlyIn fails unless the directory holds exactly these names.
func onlyIn(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	got := []string{}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in %s (-want +got):\n%s", dir, diff)
	}
}

// An environment of earlier is found by its digest as long as its image is
// there, and nothing else is.
func TestFind(t *testing.T) {
	h := newHost(t, debian())
	first := ensure(t, h)
	must(t, os.WriteFile(filepath.Join(h.Root, "/usr/lib/python3/dist-packages/six.py"), []byte("seven"), 0o644))
	second := ensure(t, h)
	if first.Digest == second.Digest {
		t.Fatal("nothing changed")
	}
	for _, want := range []Environment{first, second} {
		got, ok := h.Find(want.Digest)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("found: %v (-want +got):\n%s", ok, diff)
		}
	}
	for _, digest := range []string{"", "../" + first.Digest, strings.Repeat("0", 64), first.Digest[:12]} {
		if env, ok := h.Find(digest); ok {
			t.Errorf("%q finds %+v", digest, env)
		}
	}
	must(t, os.WriteFile(sidecarPath(first.Image), []byte(`{"entry":"python"}`), 0o600))
	if _, ok := h.Find(first.Digest); ok {
		t.Error("found an image that nothing is known of")
	}
}
