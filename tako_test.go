package tako_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/takovm/tako"
)

// What a program gets of Options, and what comes back of it.
func TestRun(t *testing.T) {
	const all = `
import json, os, sys
print(sys.argv[1:], os.environ["WHO"], json.load(open("/input/data.json")), open("/input/a/b.bin", "rb").read(), sys.stdin.read())
sys.stdout.buffer.write(b"\xff\n")
print("no", file=sys.stderr)
json.dump([1], open("/output/result.json", "w"))
os.mkdir("/output/d")
open("/output/d/x.txt", "w").write("left")
sys.exit(3)`
	var live strings.Builder
	left := map[string]string{}
	r, err := tako.Run(t.Context(), all, tako.Options{Executable: "tako", Args: []string{"one"}, Env: map[string]string{"WHO": "me"},
		Input: map[string]int{"n": 1}, Files: map[string][]byte{"a/b.bin": {0, 1}}, Stdin: strings.NewReader("in"), Stdout: &live,
		Artifact: func(name string, size int64, r io.Reader) error {
			content, err := io.ReadAll(r)
			left[name] = fmt.Sprint(size, string(content))
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "['one'] me {'n': 1} b'\\x00\\x01' in\n\xff\n"
	if r.Status != tako.Failed || r.ExitCode != 3 || r.Stdout != want || live.String() != want || r.Stderr != "no\n" || string(r.Output) != "[1]" {
		t.Errorf("%+v, live %q", r, live.String())
	}
	if left["d/x.txt"] != "4left" || left["result.json"] != "3[1]" || len(left) != 2 || len(r.Artifacts) != 2 || r.Leftovers != "" {
		t.Errorf("it left %v, %+v", left, r)
	}
}

// A limit is no error; the result says which.
func TestRunLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		code string
		o    tako.Options
		want tako.Status
	}{
		"memory":  {"x = bytearray(b'x') * (1 << 30)", tako.Options{Memory: 64 << 20}, tako.OOM},
		"network": {"import urllib.request\nurllib.request.urlopen('http://192.0.2.1/')", tako.Options{Hosts: []string{"api.example.com"}}, tako.Failed},
		"time":    {"while True: pass", tako.Options{Timeout: 1e9}, tako.TimedOut},
	} {
		tc.o.Executable = "tako"
		r, err := tako.Run(t.Context(), tc.code, tc.o)
		if err != nil || r.Status != tc.want || (len(r.Denied) > 0) != (name == "network") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// What cannot be run is an error that says what to do.
func TestRunRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		o    tako.Options
		kind tako.Kind
		want string
	}{
		"a language that is none":      {tako.Options{Language: "cobol"}, tako.KindInvalid, "cobol"},
		"input that is no object":      {tako.Options{Input: []int{1}}, tako.KindInvalid, "Options.Input is no JSON object"},
		"input that is no JSON":        {tako.Options{Input: func() {}}, tako.KindInvalid, "Options.Input is no JSON object"},
		"a file that would lead out":   {tako.Options{Files: map[string][]byte{"../x": nil}}, tako.KindInvalid, "../x"},
		"more time than is allowed":    {tako.Options{Timeout: 1e18}, tako.KindInvalid, "raise max_timeout"},
		"too little memory":            {tako.Options{Memory: 1}, tako.KindInvalid, "memory is 1 bytes"},
		"a host that is none":          {tako.Options{Hosts: []string{"a b"}}, tako.KindInvalid, "a b"},
		"a configuration that is none": {tako.Options{Config: "none.yaml"}, tako.KindConfig, "none.yaml"},
		"an executable that is none":   {tako.Options{Executable: "no-such-tako"}, tako.KindUnavailable, "no-such-tako"},
		"an executable without a hook": {tako.Options{Executable: "true"}, tako.KindUnavailable, "tako.Child"},
	} {
		if tc.o.Executable == "" {
			tc.o.Executable = "tako"
		}
		_, err := tako.Run(t.Context(), "print(1)", tc.o)
		var e *tako.Error
		if !errors.As(err, &e) || e.Kind != tc.kind || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tako.Run(t.Context(), "print(1)", tako.Options{}, tako.Options{}); !strings.Contains(fmt.Sprint(err), "2 Options") {
		t.Errorf("two Options: %v", err)
	}
}

// A context that ends takes the sandbox along: when Run returns, the process
// that had it has cleaned up.
func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := tako.Run(ctx, "import time\nprint('up', flush=True)\ntime.sleep(300)",
		tako.Options{Executable: "tako", Stdout: writer(func() error { cancel(); return nil })})
	if !errors.Is(err, context.Canceled) || r == nil || r.Status != tako.Cancelled {
		t.Errorf("%+v, %v", r, err)
	}
	homes, err := filepath.Glob(filepath.Join(os.Getenv("TAKO_VM_DATA_DIR"), "run", "*-*"))
	if err != nil || len(homes) > 0 {
		t.Errorf("left behind: %v, %v", homes, err)
	}
}

// A caller that does not take what comes is told, and nobody waits for it.
func TestRunIsNotTaken(t *testing.T) {
	full := errors.New("the disk is full")
	r, err := tako.Run(t.Context(), "open('/output/a', 'w').write('a')\nopen('/output/b', 'w').write('b')", tako.Options{Executable: "tako",
		Artifact: func(string, int64, io.Reader) error { return full }})
	if !errors.Is(err, full) || r == nil || r.Status != tako.Succeeded {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = tako.Run(t.Context(), "print('x' * 100000)", tako.Options{Executable: "tako", Stdout: writer(func() error { return full })})
	if !errors.Is(err, full) || r == nil || r.Status != tako.Succeeded || r.Output != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := tako.Run(t.Context(), "print(input())", tako.Options{Executable: "tako", Stdin: iotest.ErrReader(full)}); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

type writer func() error

func (w writer) Write(p []byte) (int, error) { return len(p), w() }

// A main that does not begin with Child runs again where it should have been a
// sandbox: it must not start yet another.
func TestRunInside(t *testing.T) {
	if os.Args[0] == "tako-run" {
		_, err := tako.Run(t.Context(), "print(1)", tako.Options{})
		fmt.Println("inside:", err)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestRunInside$")
	cmd.Args[0] = "tako-run"
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "inside: this process was executed to be a sandbox; call tako.Child") {
		t.Errorf("%v\n%s", err, out)
	}
}
