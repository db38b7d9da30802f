package script

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an operator does with secrets: a value is nowhere on the disk as it is,
// jobs have a placeholder, and one that is not set, or taken away, is an error
// that says so.
func TestServerSecrets(t *testing.T) {
	const value = "sk-live-0123456789"
	b := newBench(t)
	b.pack(t)
	data := filepath.Join(b.work, "data")
	must(t, os.MkdirAll(filepath.Join(data, "cache"), 0o700))
	must(t, os.Symlink(filepath.Join(b.root, "cache", "environments"), filepath.Join(data, "cache", "environments")))
	s := serve(t, b, "TAKO_VM_DATA_DIR="+data)

	const binding = `{"network": {"mode": "allow", "allow": ["api.invalid"]}, "secrets": [{"name": "API_KEY", "host": "api.invalid"}]}`
	refused := s.expect("POST", "/job-types/t", strings.Replace(binding, `["api.invalid"]`, `["b.invalid"]`, 1), http.StatusUnprocessableEntity, "", nil)
	if text, _ := refused["detail"].(string); !strings.Contains(text, "secret API_KEY is bound to api.invalid, which jobs cannot reach") {
		t.Errorf("%v", refused)
	}
	s.expect("POST", "/job-types/t", binding, http.StatusOK, "", nil)
	const code = `{"job_type": "t", "code": "import os, urllib.request, urllib.error\nprint(os.environ['API_KEY'])\ntry: urllib.request.urlopen('https://api.invalid', timeout=1)\nexcept OSError as e: print(type(e).__name__)"}`
	missing := s.expect("POST", "/execute", code, http.StatusOK, "success", false)
	if text, _ := missing["error"].(string); !strings.Contains(text, "a secret that is not set: API_KEY; tako secrets set API_KEY") {
		t.Errorf("%v", missing)
	}

	tako := func(want int, command string) string {
		t.Helper()
		out, status := b.shell(t, strings.ReplaceAll(command, "tako ", "TAKO_VM_DATA_DIR="+data+" tako "))
		if status != want || strings.Contains(out, value) {
			t.Errorf("%s: %d, %s", command, status, out)
		}
		return out
	}
	tako(0, "echo "+value+" | tako secrets set API_KEY")
	tako(0, "echo "+value+" > key; tako secrets set OTHER --file key --url "+s.url)
	if out := tako(0, "tako secrets list; tako secrets list --json --url "+s.url); strings.Count(out, "API_KEY") != 2 || strings.Count(out, "OTHER") != 2 {
		t.Errorf("%s", out)
	}
	tako(1, "echo short | tako secrets set API_KEY")
	tako(2, "tako secrets set API_KEY --file no-such-file")

	done := s.expect("POST", "/execute", code, http.StatusOK, "stdout", "tako-secret.API_KEY.placeholder\nURLError\n")
	if info, err := os.Stat(filepath.Join(data, "secret.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s.expect("GET", "/executions/"+done["execution_id"].(string)+"?view=full", "", http.StatusOK, "", nil)

	tako(0, "tako secrets rm API_KEY")
	tako(1, "tako secrets rm API_KEY")
	s.expect("POST", "/execute", code, http.StatusOK, "success", false)
	s.stop()
	nowhere(t, data, value)
	if strings.Contains(s.said(), value) {
		t.Error("the log shows it")
	}
}

// nowhere looks for a text in all files of a directory.
func nowhere(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("it is in %s", path)
		}
		return err
	})
	must(t, err)
}
