package assembly

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// probe is a program that says what it finds.
const probe = `package main

import (
	"encoding/json"
	"os"
)

func main() {
	dir, _ := os.Getwd()
	writes := []string{}
	for _, d := range []string{"/", "/srv/work", "/home/sandbox", "/app", "/tmp", "/output"} {
		if f, err := os.Create(d + "/x"); err == nil {
			f.Close()
			os.Remove(f.Name())
			writes = append(writes, d)
		}
	}
	own, _ := os.ReadFile("/srv/work/own")
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"Dir": dir, "UID": os.Getuid(), "GID": os.Getgid(), "Args": os.Args, "Env": os.Environ(), "Writes": writes, "Own": string(own),
	})
}
`

type finding struct {
	Dir       string
	UID, GID  int
	Args, Env []string
	Writes    []string
	Own       string
}

// imageFile writes an archive with an image that has the probe and no more, as
// /bin/probe and as its bash.
func imageFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(probe), 0o600))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "probe", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the probe: %v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "probe"))
	must(t, err)
	layer := tarOf(t, []tar.Header{
		{Name: "bin/probe", Mode: 0o4755}, {Name: "bin/bash", Typeflag: tar.TypeLink, Linkname: "bin/probe"},
		{Name: "srv/work/own", Mode: 0o600, Uid: 1234}, {Name: "app/hidden"},
	}, map[string][]byte{"bin/probe": program, "srv/work/own": []byte("mine")})
	config := fmt.Appendf(nil, `{"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:%x"]},
		"config": {"User": "1234:5678", "WorkingDir": "/srv/work", "Env": ["PATH=/bin", "HOME=/root", "IMG=yes"]}}`, sha256.Sum256(layer))
	name := filepath.Join(dir, "image.tar")
	must(t, os.WriteFile(name, tarOf(t, []tar.Header{{Name: "manifest.json"}, {Name: "config.json"}, {Name: "layer.tar"}}, map[string][]byte{
		"manifest.json": []byte(`[{"Config": "config.json", "RepoTags": ["probe:1"], "Layers": ["layer.tar"]}]`),
		"config.json":   config, "layer.tar": layer,
	}), 0o600))
	return name
}

func tarOf(t *testing.T, headers []tar.Header, contents map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		h.Size = int64(len(contents[h.Name]))
		must(t, w.WriteHeader(&h))
		_, err := w.Write(contents[h.Name])
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestImage(t *testing.T) {
	cfg := settings(t)
	must(t, os.Remove(filepath.Join(cfg.DataDir, "cache", "environments"))) // it is all tests', and this one damages things
	store, err := OpenImages(cfg)
	must(t, err)
	_, err = store.Load(t.Context(), imageFile(t), "", oci.Options{})
	must(t, err)
	env, err := Image(t.Context(), cfg, "probe:1", oci.Options{}) // and no registry is asked
	must(t, err)
	l, err := NewLocal(t.Context(), cfg, Options{Executable: takotest.Binary(t), ImagesOnly: true})
	must(t, err)
	defer func() { must(t, l.Close()) }()
	if again, err := l.Image("docker.io/library/probe:1"); err != nil || again.Digest != env.Digest {
		t.Errorf("%v, %v", again, err)
	}
	if _, err := l.Image("nowhere:1"); job.KindOf(err) != job.KindNotFound {
		t.Errorf("an image that is not here: %v", err)
	}
	limits := job.DefaultLimits()
	limits.Startup, limits.Execution = patience, patience
	run := func(a runner.Attempt) (*runner.Result, error) {
		a.Environment, a.Limits = env, limits
		return l.Run(t.Context(), a, runner.Sinks{Keep: true})
	}
	look := func(a runner.Attempt) finding {
		t.Helper()
		res, err := run(a)
		must(t, err)
		if res.Status != job.Succeeded {
			t.Fatalf("it ended as %s", show(res))
		}
		var f finding
		must(t, json.Unmarshal(res.Stdout.Kept, &f))
		return f
	}

	f := look(runner.Attempt{Command: []string{"probe", "a"}, Env: map[string]string{"MINE": "1"}})
	if f.Dir != "/srv/work" || f.UID != 1234 || f.GID != 5678 || f.Own != "mine" || !slices.Equal(f.Args, []string{"probe", "a"}) {
		t.Errorf("a command found %+v", f)
	}
	if !slices.Equal(f.Writes, []string{"/app", "/tmp", "/output"}) {
		t.Errorf("it could write to %v", f.Writes)
	}
	for _, v := range []string{"PATH=/bin", "HOME=/home/sandbox", "USER=sandbox", "IMG=yes", "MINE=1"} {
		if !slices.Contains(f.Env, v) {
			t.Errorf("%s is not in %q", v, f.Env)
		}
	}
	f = look(runner.Attempt{Language: "bash", Code: []byte("true")})
	if f.Dir != "/app" || !slices.Equal(f.Args, []string{"/bin/bash", "/code/main.sh"}) {
		t.Errorf("code found %+v", f)
	}
	if _, err := run(runner.Attempt{Language: "python", Code: []byte("1")}); job.KindOf(err) != job.KindInvalid {
		t.Errorf("Python, which it has not: %v", err)
	}

	damage(t, env)
	_, err = run(runner.Attempt{Language: "bash", Code: []byte("true")})
	if job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "tako env pull") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := l.Image("probe:1"); job.KindOf(err) != job.KindNotFound {
		t.Errorf("the damaged one is still there: %v", err)
	}
}

// damage overwrites most of an image.
func damage(t *testing.T, env environment.Environment) {
	t.Helper()
	must(t, os.Chmod(env.Image, 0o600))
	f, err := os.OpenFile(env.Image, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, env.Size-8192), 4096)
	must(t, err)
	must(t, f.Close())
}
