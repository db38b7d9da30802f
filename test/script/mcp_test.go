package script

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What an assistant's client sees, over standard input and output and over HTTP
// with keys of different scopes.
func TestMCP(t *testing.T) {
	client := mcpClient(t)
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	local := &operator{t: t, binary: b.binary, dir: b.work, env: append(slices.Clone(s.cmd.Env), "TAKO_VM_API_AUTH_ENABLED=true")}
	must(t, s.cmd.Process.Signal(os.Interrupt))
	<-s.read

	checkRun(t, ask(t, local.env, client, "stdio", b.binary))

	local.expect(0, "tako_", "keys", "create", "--admin")
	runner := strings.TrimSpace(local.expect(0, "tako_", "keys", "create", "--scope", "read", "--scope", "execute", "runner"))
	reader := strings.TrimSpace(local.expect(0, "tako_", "keys", "create", "--scope", "read", "reader"))
	s = serve(t, b, "TAKO_VM_API_AUTH_ENABLED=true")
	checkRun(t, ask(t, local.env, client, "http", s.url+"/mcp", runner))
	looks := ask(t, local.env, client, "http", s.url+"/mcp", reader)
	if got := strings.Join(looks.Tools, " "); got != "get_execution list_artifacts list_executions read_artifact" || looks.Run != nil && !looks.Run.IsError {
		t.Errorf("a key that may look has %s, and running: %+v", got, looks.Run)
	}
	remote := func(key string) []string {
		return append(slices.Clone(local.env), "TAKO_URL="+s.url, "TAKO_API_KEY="+key)
	}
	checkRun(t, ask(t, remote(runner), client, "stdio", b.binary))
	if got := strings.Join(ask(t, remote(reader), client, "stdio", b.binary).Tools, " "); got != "get_execution list_artifacts list_executions read_artifact" {
		t.Errorf("tako mcp with a key that may look has %s", got)
	}
	local.env = remote("tako_wrong")
	local.expect(77, "Missing or invalid API key", "mcp")
	s.stop()

	s = serve(t, b, "TAKO_VM_API_AUTH_ENABLED=true", "TAKO_VM_API_AUTH_HEADER=X-Team-Key")
	checkRun(t, ask(t, local.env, client, "http", s.url+"/mcp", runner, "X-Team-Key"))
	checkRun(t, ask(t, remote(runner), client, "stdio", b.binary))
	s.stop()
}

// mcpAnswer is what the client prints.
type mcpAnswer struct {
	Tools, Progress []string
	Refused         string
	Run, Wrong      *mcpResult
}

type mcpResult struct {
	IsError           bool
	Content           []struct{ Type, Text, MimeType string }
	StructuredContent struct{ Status, Stdout string }
}

func checkRun(t *testing.T, a mcpAnswer) {
	t.Helper()
	if len(a.Tools) != 7 || a.Run == nil || a.Run.IsError || a.Run.StructuredContent.Status != "succeeded" || a.Run.StructuredContent.Stdout != "hello\n" {
		t.Fatalf("%+v", a)
	}
	if last := a.Run.Content[len(a.Run.Content)-1]; last.Type != "image" || last.MimeType != "image/png" {
		t.Errorf("no image: %+v", a.Run.Content)
	}
	if !strings.Contains(strings.Join(a.Progress, ""), "hello\n") || a.Wrong == nil || !a.Wrong.IsError {
		t.Errorf("progress %q, wrong %+v", a.Progress, a.Wrong)
	}
}

// ask runs the client.
func ask(t *testing.T, env []string, client string, args ...string) (a mcpAnswer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{client}, args...)...)
	cmd.Env = append(slices.Clone(env), "PATH="+os.Getenv("PATH"))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s\n%s", args, err, out, &said)
	}
	return a
}

// mcpClient installs the client, once for each lock file, and answers its script.
func mcpClient(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed: the client of the Model Context Protocol comes from its registry")
	}
	lock, err := os.ReadFile("../mcp/package-lock.json")
	must(t, err)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "tako-test", "mcp-"+hex.EncodeToString(sum[:6]))
	must(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"package.json", "package-lock.json", "client.mjs"} {
		content, err := os.ReadFile(filepath.Join("../mcp", name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err != nil { // npm writes it last
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("the client cannot be installed, so it is not tested with: npm ci: %v\n%s", err, out)
		}
	}
	return filepath.Join(dir, "client.mjs")
}
