package script

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/takovm/tako/internal/takotest"
)

// hello is the only program of the image that archive makes.
const hello = `package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "-cat" {
		for _, name := range os.Args[2:] {
			text, err := os.ReadFile(name)
			fmt.Print(string(text))
			if err != nil {
				fmt.Println(err)
			}
		}
		return
	}
	dir, err := os.Getwd()
	fmt.Printf("hello %q in %s\n", os.Args[1:], dir)
	if err != nil {
		os.Exit(1)
	}
}
`

// archive FILE NAME: writes an image as docker save does, with one program.
func archive(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("hello")
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "main.go"), []byte(hello), 0o600))
	build := exec.Command("go", "build", "-o", "hello", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("building the program of an image: %v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "hello"))
	ts.Check(err)
	layer := tarOf(ts, entry{"usr/bin/hello", program})
	config := fmt.Appendf(nil, `{"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:%x"]}}`, sha256.Sum256(layer))
	manifest := fmt.Appendf(nil, `[{"Config": "config.json", "RepoTags": [%q], "Layers": ["layer.tar"]}]`, args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), tarOf(ts, entry{"manifest.json", manifest}, entry{"config.json", config}, entry{"layer.tar", layer}), 0o600))
}

type entry struct {
	name    string
	content []byte
}

func tarOf(ts *testscript.TestScript, entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		ts.Check(w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.content))}))
		_, err := w.Write(e.content)
		ts.Check(err)
	}
	ts.Check(w.Close())
	return b.Bytes()
}

// wheel DIR NAME VERSION: writes a Python package whose VALUE is its version.
func wheel(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	_, err := takotest.WriteWheel(dir, args[1], args[2], map[string]string{args[1] + ".py": fmt.Sprintf("VALUE = %q\n", args[2])})
	ts.Check(err)
}

// sameimage FILE FILE: both are what a build has printed as JSON, of one image.
func sameImage(ts *testscript.TestScript, neg bool, args []string) {
	var images [2]struct{ Manifest, Digest string }
	for i, name := range args {
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &images[i]))
	}
	if images[0] != images[1] || images[0].Digest == "" {
		ts.Fatalf("two images: %+v", images)
	}
}
