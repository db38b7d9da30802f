package script

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// operator runs commands against a server.
type operator struct {
	t      *testing.T
	binary string
	dir    string
	env    []string
}

// run answers both outputs and the exit code.
func (o *operator) run(stdin string, args ...string) (stdout, stderr string, code int) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), o.binary, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = o.dir, o.env, strings.NewReader(stdin)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		o.t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// expect runs a command that ends with a code and says something.
func (o *operator) expect(code int, says string, args ...string) string {
	o.t.Helper()
	stdout, stderr, got := o.run("", args...)
	if got != code || !strings.Contains(stdout+stderr, says) {
		o.t.Errorf("tako %s: exit code %d, want %d with %q\nstdout: %s\nstderr: %s", strings.Join(args, " "), got, code, says, stdout, stderr)
	}
	return stdout
}

// decode runs a command with --json.
func (o *operator) decode(into any, args ...string) {
	o.t.Helper()
	out := o.expect(0, "", append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		o.t.Errorf("tako %s --json printed %.300q: %v", strings.Join(args, " "), out, err)
	}
}

func newOperator(t *testing.T, b *bench, s *server) *operator {
	return &operator{t: t, binary: b.binary, dir: b.work, env: append(slices.Clone(s.cmd.Env), "TAKO_URL="+s.url)}
}

// Every command that asks a server, in its good and its bad case.
func TestCLIJobs(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	o := newOperator(t, b, s)
	o.expect(0, "Status: healthy\nDocker: available\nVersion: ", "status")
	id := s.submit("import sys\nprint('out', flush=True)\nprint('err', file=sys.stderr)\nopen('/output/a.txt', 'w').write('hello')")
	stdout, stderr, code := o.run("", "jobs", "logs", "-f", id)
	if stdout != "out\n" || stderr != "err\n" || code != 0 {
		t.Errorf("logs: %q, %q, %d", stdout, stderr, code)
	}
	o.expect(0, `"event":"end"`, "jobs", "logs", id, "--json")
	o.expect(0, "Status:      succeeded", "jobs", "show", id)
	var record struct{ Status, Stdout string }
	if o.decode(&record, "jobs", "show", id); record.Status != "succeeded" || record.Stdout != "out\n" {
		t.Errorf("shown as %+v", record)
	}
	o.expect(0, id, "jobs", "list", "--status", "succeeded")
	o.expect(0, "No jobs.", "jobs", "list", "--label", "no:label")
	out := filepath.Join(b.work, "files")
	o.expect(0, "a.txt", "jobs", "artifacts", id, "--out", out)
	if data, err := os.ReadFile(filepath.Join(out, "a.txt")); err != nil || string(data) != "hello" {
		t.Errorf("the artifact is %q, %v", data, err)
	}
	o.expect(0, "out\n", "jobs", "rerun", id, "--wait")
	if stdout, stderr, code := o.run("raise SystemExit(3)", "jobs", "fork", id, "--code", "-", "--wait"); code != 1 || !strings.Contains(stderr, "ended as failed") {
		t.Errorf("fork: %q, %q, %d", stdout, stderr, code)
	}
	sleeper := s.submit("import time\ntime.sleep(300)")
	o.expect(0, sleeper+" cancelled", "jobs", "cancel", sleeper)
	s.result(sleeper)
	o.expect(1, "already completed", "jobs", "cancel", sleeper)
	o.expect(0, id+" removed", "jobs", "purge", id)
	o.expect(1, "not found", "jobs", "show", id)
	o.expect(0, "removed", "jobs", "purge", "--older-than", "0s")
	o.expect(2, "takes ids of jobs or --older-than", "jobs", "purge")
	o.expect(2, "write 30d", "jobs", "purge", "--older-than", "soon")
	o.expect(0, "No dead letters.", "dlq", "list")
	o.expect(1, "DLQ entry not found", "dlq", "replay", "7")
	o.expect(2, "entries have numbers", "dlq", "rm", "x")
	s.stop()
	o.expect(69, "cannot be reached", "status")
}

// Keys are made in the database, beside a server, and open it.
func TestCLIKeys(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b) // without authentication, so that there is a database
	s.stop()
	local := &operator{t: t, binary: b.binary, dir: b.work, env: append(slices.Clone(s.cmd.Env), "TAKO_VM_API_AUTH_ENABLED=true")}
	stdout, _, code := local.run("", "server", "--port", "0")
	if code != 1 {
		t.Errorf("a server without any key: %d, %s", code, stdout)
	}
	admin := strings.TrimSpace(local.expect(0, "tako_", "keys", "create", "--admin"))
	s = serve(t, b, "TAKO_VM_API_AUTH_ENABLED=true")
	o := newOperator(t, b, s)
	o.expect(77, "Missing or invalid API key", "jobs", "list")
	o.env = append(o.env, "TAKO_API_KEY="+admin)
	o.expect(0, "No jobs", "jobs", "list", "--label", "nobody:has-this")
	reader := strings.TrimSpace(o.expect(0, "tako_", "keys", "create", "--scope", "read", "reader"))
	r := newOperator(t, b, s)
	r.env = append(r.env, "TAKO_API_KEY="+reader)
	r.expect(77, "lacks the scope", "keys", "list")
	r.expect(77, "lacks the scope", "jobs", "cancel", "x")
	var keys []struct{ ID, Name string }
	if o.decode(&keys, "keys", "list"); len(keys) != 2 {
		t.Errorf("keys: %v", keys)
	}
	for _, k := range keys {
		if k.Name == "reader" {
			o.expect(0, "removed", "keys", "rm", k.ID)
		}
	}
	r.expect(77, "Missing or invalid API key", "jobs", "list")
	o.expect(2, "there are read, execute and admin", "keys", "create", "--scope", "root", "x")
	s.stop()
	for _, k := range keys {
		local.run("", "keys", "rm", k.ID) // for the tests that come after
	}
}

// A backup is a data directory.
func TestCLIBackup(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	o := newOperator(t, b, s)
	id := s.submit("open('/output/kept.txt', 'w').write('kept')")
	s.result(id)
	target := filepath.Join(b.work, "backup")
	o.expect(0, "the database and", "backup", target)
	o.expect(1, "file exists", "backup", target)
	s.stop()
	must(t, os.Symlink(filepath.Join(b.root, "cache"), filepath.Join(target, "cache"))) // so that nothing is packed again
	restored := serve(t, b, "TAKO_VM_DATA_DIR="+target)
	if got := restored.result(id); got["status"] != "succeeded" {
		t.Errorf("in the backup, the job is %v", got)
	}
	ro := newOperator(t, b, restored)
	ro.expect(0, "kept.txt", "jobs", "artifacts", id, "--out", filepath.Join(b.work, "from-backup"))
	restored.stop()
}

func TestCLIConfiguration(t *testing.T) {
	b := newBench(t)
	o := &operator{t: t, binary: b.binary, dir: b.work, env: []string{"TAKO_VM_DATA_DIR=" + b.root, "HOME=" + b.work}}
	good, bad := filepath.Join(b.work, "good.yaml"), filepath.Join(b.work, "bad.yaml")
	must(t, os.WriteFile(good, []byte("max_workers: 7\ndatabase_url: postgres://u:hunter42@h/d\n"), 0o600))
	must(t, os.WriteFile(bad, []byte("max_workers: 700\nnonsense: 1\n"), 0o600))
	o.expect(0, "Configuration is valid!\n  Mode: DEVELOPMENT\n  Workers: 7\n", "validate", good)
	o.expect(1, "Validation FAILED:", "validate", bad)
	o.expect(1, "nonsense", "validate", bad)
	o.expect(1, "no configuration file found", "validate")
	if out := o.expect(0, "max_workers", "config", "--config", good); strings.Contains(out, "hunter42") {
		t.Errorf("config shows a password:\n%s", out)
	}
	var values map[string]any
	if o.decode(&values, "config", "--config", good); values["max_workers"] != 7.0 {
		t.Errorf("config --json: %v", values["max_workers"])
	}
	o.expect(0, "Nothing to do", "dev", "up")
	o.expect(2, "no command", "jobs", "dance")
}
