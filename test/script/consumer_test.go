package script

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/takovm/tako/internal/takotest"
)

// foreign is a program of somebody else's that uses both packages.
const foreign = `package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/takovm/tako"
	client "github.com/takovm/tako/sdk/go"
)

func main() {
	tako.Child()
	here, err := tako.Run(context.Background(), "print('in a sandbox of its own')", tako.Options{})
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New(os.Getenv("TAKO_URL"), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	there, err := c.Execute(context.Background(), client.ExecuteRequest{Code: "print('on a server')"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(here.Stdout, there.Stdout)
}
`

// The module works for those who have it from a module proxy: the command can
// be installed, and another module can import the packages.
func TestModule(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	env := consumer(t)
	installed := t.TempDir()
	golang(t, t.TempDir(), append(env, "GOBIN="+installed), "install", "github.com/takovm/tako/cmd/tako@"+released)
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = []string{"TAKO_VM_DATA_DIR=" + b.root, "HOME=" + b.work}
		if os.Geteuid() != 0 {
			cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
		}
		return output(t, cmd)
	}
	if got := run(filepath.Join(installed, "tako"), "run", "-c", "print(6 * 7)"); got != "42\n" {
		t.Errorf("the command that was installed printed %q", got)
	}
	if got := run(filepath.Join(installed, "tako"), "version"); !strings.HasPrefix(got, "tako "+released+"\n") {
		t.Errorf("its version is %q", got)
	}

	s := serve(t, b)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/foreign\n\ngo 1.26\n\nrequire github.com/takovm/tako "+released+"\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(foreign), 0o644))
	golang(t, dir, env, "build", "-o", "foreign", ".")
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "foreign"))
	cmd.Env = append(s.cmd.Env, "TAKO_URL="+s.url)
	if got := output(t, cmd); got != "in a sandbox of its own\non a server\n" {
		t.Errorf("the program printed %q", got)
	}
	s.stop()
}

// released is the version that the module has here.
const released = "v0.0.0-test"

// consumer makes a proxy that has the module, as it is in this checkout, beside
// what was downloaded before, and answers how the go command is to use it.
func consumer(t *testing.T) (env []string) {
	t.Helper()
	root := takotest.Root(t)
	proxy := t.TempDir()
	dir := filepath.Join(proxy, "github.com", "takovm", "tako", "@v")
	must(t, os.MkdirAll(dir, 0o755))
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "list"), []byte(released+"\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, released+".mod"), mod, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, released+".info"), []byte(`{"Version": "`+released+`"}`), 0o644))
	archive, err := os.Create(filepath.Join(dir, released+".zip"))
	must(t, err)
	defer archive.Close()
	must(t, zip.Create(archive, module.Version{Path: "github.com/takovm/tako", Version: released}, checkout(t, root)))
	downloaded := strings.TrimSpace(golang(t, root, os.Environ(), "env", "GOMODCACHE"))
	own := t.TempDir() // the version must not stay in the tester's
	return append(os.Environ(), "GOPROXY=file://"+proxy+",file://"+filepath.Join(downloaded, "cache", "download"), "GOSUMDB=off", "GOMODCACHE="+own,
		// Those of the Makefile, with which gVisor was compiled already.
		"CGO_ENABLED=0", "GOFLAGS=-mod=mod -modcacherw -trimpath -buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local")
}

// checkout lists the files of a checkout, whether they are committed or not.
func checkout(t *testing.T, root string) (files []zip.File) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "-c", "safe.directory="+root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Skipf("this is no checkout of git, which says what belongs to the module: %v", err)
	}
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil { // it may be removed and not yet committed
			files = append(files, file{root, name})
		}
	}
	return files
}

// file is a file of the checkout.
type file struct{ root, name string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(filepath.Join(f.root, f.name)) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(f.root, f.name)) }

// golang runs the go command. What was never downloaded on this machine skips
// the test.
func golang(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, env
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil && strings.Contains(said.String(), "reading file://") && strings.Contains(said.String(), "no such file or directory") {
		t.Skipf("not all modules were downloaded to this machine: go mod download\n%s", &said)
	}
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return string(out)
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd.Args, err, &said)
	}
	return string(out)
}
