package config

import (
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

func TestRuncIsRefusedOrExplained(t *testing.T) {
	_, err := loadText("container_runtime: runc")
	if err == nil || !strings.Contains(err.Error(), "field container_runtime: ") || !strings.Contains(err.Error(), "set it to runsc") {
		t.Errorf("strict: %v", err)
	}
	c, err := loadText("container_runtime: runc\nsecurity_mode: permissive")
	if err != nil {
		t.Fatalf("permissive: %v", err)
	}
	if w := strings.Join(c.Warnings(), "\n"); !strings.Contains(w, "tako has no runc") || !strings.Contains(w, "security_mode permissive") {
		t.Errorf("Warnings = %q", w)
	}
}

// A key that has an effect is not said to have none: these networks are opened
// to webhooks.
func TestOpenNetworksWarnOfNothing(t *testing.T) {
	c, err := loadText("egress_allow_cidrs: [10.0.0.0/8]")
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("Warnings = %q", w)
	}
}

func TestListeningBeyondLoopback(t *testing.T) {
	for _, tc := range []struct {
		text    string
		ok      bool
		warning string
	}{
		{"server_host: 0.0.0.0", false, ""},
		{"server_host: '::'", false, ""},
		{"server_host: 0.0.0.0\napi_auth_enabled: true", true, ""},
		{"server_host: 0.0.0.0\nallow_unauthenticated_network_access: true", true, "no authentication"},
		{"server_host: 127.0.0.2", true, ""},
	} {
		c, err := loadText(tc.text)
		if (err == nil) != tc.ok {
			t.Errorf("%q: %v", tc.text, err)
		}
		if tc.warning != "" && !strings.Contains(strings.Join(c.Warnings(), "\n"), tc.warning) {
			t.Errorf("%q: warnings %q", tc.text, c.Warnings())
		}
	}
	c := Default("/d")
	c.ServerHost = "0.0.0.0" // as a flag would
	if err := c.Validate(); job.KindOf(err) != job.KindConfig {
		t.Errorf("Validate = %v", err)
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "::1": true, "[::1]": true, "127.1.2.3": true, "::ffff:127.0.0.1": true,
		"": false, "127.evil.example": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) = %v", host, got)
		}
	}
}

func TestWarningsNameIdleKeys(t *testing.T) {
	c, err := loadText("queue_wait_timeout: 3\ndefault_timeout: 10\ncontainer_limits: {nproc_soft: 20}")
	if err != nil {
		t.Fatal(err)
	}
	want := "set, and without effect in this version: queue_wait_timeout, container_limits.nproc_soft"
	if w := c.Warnings(); len(w) != 1 || w[0] != want {
		t.Errorf("Warnings = %q, want %q", w, want)
	}
}

// Code that needs its shared_code would fail at its first import otherwise.
func TestWarningsNameSharedCode(t *testing.T) {
	c, err := loadText("job_types: [{name: plain}, {name: report, shared_code: [lib]}]")
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "job type report: shared_code is not copied") {
		t.Errorf("Warnings = %q", w)
	}
}

func TestLimits(t *testing.T) {
	if got, want := Default("/d").Limits(), job.DefaultLimits(); got != want {
		t.Errorf("defaults: %+v, want those of job: %+v", got, want)
	}
	c, err := loadText(`
default_timeout: 7
default_startup_timeout: 11
kill_grace_ms: 0
max_stdout_bytes: 2000
max_stderr_bytes: 3000
max_artifact_bytes: 4000
max_total_artifacts_bytes: 5000
container_limits: {nofile_hard: 512, nproc_hard: 400, pids_limit: 300, fsize: 2097152, tmpfs_size: 1g}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := job.DefaultLimits()
	want.Execution, want.Startup, want.KillGrace = 7*time.Second, 11*time.Second, 0
	want.Stdout, want.Stderr, want.Artifact, want.Artifacts = 2000, 3000, 4000, 5000
	want.OpenFiles, want.PIDs, want.FileSize, want.Disk = 512, 300, 2<<20, 1<<30
	if got := c.Limits(); got != want {
		t.Errorf("Limits = %+v, want %+v", got, want)
	}
}
