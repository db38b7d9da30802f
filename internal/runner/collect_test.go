package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/takovm/tako/internal/guest"
)

func TestContentType(t *testing.T) {
	png, zip := "\x89PNG\r\n\x1a\n", "PK\x03\x04"
	for name, tc := range map[string]struct{ file, head, want string }{
		"text":                       {"a.txt", "hello", "text/plain; charset=utf-8"},
		"empty":                      {"a", "", "text/plain; charset=utf-8"},
		"binary":                     {"a", "\x00\x01", "application/octet-stream"},
		"json":                       {"a.json", "{}", "application/json"},
		"json lines":                 {"a.jsonl", "{}", "application/jsonl"},
		"csv":                        {"a.csv", "a,b", "text/csv; charset=utf-8"},
		"upper case":                 {"A.CSV", "a,b", "text/csv; charset=utf-8"},
		"markdown":                   {"dir.csv/a.md", "# x", "text/markdown; charset=utf-8"},
		"notebook":                   {"a.ipynb", "{}", "application/x-ipynb+json"},
		"numpy":                      {"a.npy", "\x93NUMPY\x01\x00", "application/x-npy"},
		"parquet":                    {"a.parquet", "PAR1\x15\x00", "application/vnd.apache.parquet"},
		"png":                        {"a.png", png, "image/png"},
		"the content wins":           {"a.json", png, "image/png"},
		"html that says it is text":  {"a.txt", "<!DOCTYPE html>", "text/html; charset=utf-8"},
		"zip":                        {"a.docx", zip, "application/zip"},
		"unknown ending":             {"a.xyz", "text", "text/plain; charset=utf-8"},
		"ending alone":               {".json", "{}", "application/json"},
		"an ending that is not last": {"a.json.bak", "{}", "text/plain; charset=utf-8"},
	} {
		if got := contentType(tc.file, []byte(tc.head)); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// takeArtifact passes one file through a run's collection.
func takeArtifact(r *run, name, content string, size int64) error {
	return r.artifact(name, size, strings.NewReader(content))
}

func TestArtifact(t *testing.T) {
	var got bytes.Buffer
	r := newRun(Attempt{}, Sinks{Artifact: func(_ string, _ int64, c io.Reader) error {
		_, err := io.Copy(&got, c)
		return err
	}})
	content := strings.Repeat("0123456789", 200)
	if err := takeArtifact(r, "dir/a", content, 2000); err != nil {
		t.Fatal(err)
	}
	if got.String() != content || len(r.result.Artifacts) != 1 {
		t.Fatalf("%d bytes, %+v", got.Len(), r.result)
	}
	a := r.result.Artifacts[0]
	sum := sha256.Sum256([]byte(content))
	if a.Name != "dir/a" || a.SizeBytes != 2000 || a.SHA256 != hex.EncodeToString(sum[:]) || a.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("%+v", a)
	}
}

// A file that changed is the session's to list; a sink that failed is ours.
func TestArtifactFails(t *testing.T) {
	broken := errors.New("no space")
	for name, tc := range map[string]struct {
		content io.Reader
		sink    func(string, int64, io.Reader) error
		notes   int
	}{
		"changed":        {iotest.ErrReader(guest.ErrChanged), nil, 0},
		"breaks off":     {iotest.ErrReader(guest.ErrLost), nil, 0}, // Collect says so
		"sink fails":     {strings.NewReader("abc"), func(string, int64, io.Reader) error { return broken }, 1},
		"sink took less": {strings.NewReader("abc"), func(string, int64, io.Reader) error { return nil }, 0},
	} {
		r := newRun(Attempt{}, Sinks{Artifact: tc.sink})
		if err := r.artifact("result.json", 3, tc.content); err != nil {
			t.Errorf("%s ends the collection: %v", name, err)
		}
		if len(r.result.Artifacts) != 0 || len(r.result.Skipped) != tc.notes || (r.result.Lost != nil) != (tc.notes > 0) || r.result.Output != nil {
			t.Errorf("%s: %+v", name, r.result)
		}
	}
}

func TestMeter(t *testing.T) {
	r := newRun(Attempt{}, Sinks{})
	page := "<!DOCTYPE html>" + strings.Repeat(" ", 10_000)
	if err := r.artifact("x", int64(len(page)), iotest.OneByteReader(strings.NewReader(page))); err != nil {
		t.Fatal(err)
	}
	if a := r.result.Artifacts[0]; a.ContentType != "text/html; charset=utf-8" || a.SizeBytes != int64(len(page)) {
		t.Errorf("byte by byte: %+v", a)
	}
}

// The output of a job does not wait for the storage of its files.
func TestOutputWithoutStorage(t *testing.T) {
	full := errors.New("the disk is nearly full")
	r := newRun(Attempt{}, Sinks{Artifact: func(string, int64, io.Reader) error { return full }})
	if err := takeArtifact(r, "result.json", `{"a": 1.0}`, 10); err != nil {
		t.Fatal(err)
	}
	if string(r.result.Output) != `{"a": 1.0}` || len(r.result.Artifacts) != 0 || !errors.Is(r.result.Lost, full) {
		t.Errorf("%+v", r.result)
	}
}
