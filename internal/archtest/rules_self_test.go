package archtest

import (
	"go/parser"
	"go/token"
	"testing"
)

// A rule that matches nothing passes for the wrong reason; these are the
// imports that have to be caught, and those that must not be.
func TestRulesDecide(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		test, ok bool
	}{
		{"internal/engine/gvisor", "gvisor.dev/gvisor/runsc/container", false, true},
		{"internal/engine/gvisor/child", "gvisor.dev/gvisor/runsc/cli", false, true},
		{"internal/sandbox", "gvisor.dev/gvisor/runsc/container", false, false},
		{"internal/sandbox", "gvisor.dev/gvisor/runsc/container", true, false},
		{"internal/egress", "gvisor.dev/gvisor/pkg/tcpip/stack", false, true},
		{"internal/egress", "gvisor.dev/gvisor/runsc/config", false, false},
		{"internal/engine/gvisor/child", "gvisor.dev/gvisor/pkg/tcpip", false, true},
		{"internal/runner", "gvisor.dev/gvisor/pkg/tcpip/stack", false, false},
		{"internal/job", "time", false, true},
		{"internal/job", "net/http", false, true},
		{"internal/job", "golang.org/x/sys/unix", false, false},
		{"internal/job", "internal/engine", false, false},
		{"internal/job", "github.com/google/go-cmp/cmp", true, true},
		{"internal/engine", "internal/job", false, true},
		{"internal/engine", "internal/guest", false, false},
		{"internal/engine/enginetest", "internal/engine", false, true},
		{"internal/guest", "internal/job", false, true},
		{"internal/guest", "golang.org/x/sys/unix", false, true},
		{"internal/guest", "internal/lifecycle", false, false},
		{"internal/lifecycle", "internal/job", false, false},
		{"internal/queue", "internal/sandbox", false, false},
		{"internal/queue", "internal/sandbox", true, false},
		{"internal/queue/river", "internal/sandbox/pool", false, false},
		{"cmd/tako", "internal/cli", false, true},
		{"internal/server", "internal/cli", false, false},
		{"internal/sandbox", "internal/engine/gvisor", false, false},
		{"internal/sandbox", "internal/engine/gvisor", true, true},
		{"internal/assembly", "internal/engine/gvisor", false, true},
		{"internal/queue", "internal/store/sqlite", false, false},
		{"internal/netguard", "net/netip", false, true},
		{"internal/netguard", "internal/job", false, false},
		{"internal/netguard", "golang.org/x/sys/unix", false, false},
		{"internal/artifact", "internal/job", false, true},
		{"internal/artifact", "internal/artifact/disk", false, false},
		{"internal/artifact/s3", "gocloud.dev/blob", false, false},
		{"internal/artifact/s3", "internal/artifact/disk", false, true},
		{"internal/artifact/disk", "gocloud.dev/blob", false, false},
		{"internal/api", "github.com/aws/aws-sdk-go-v2/aws", true, false},
		{"internal/assembly", "internal/artifact/s3", false, true},
		{"internal/api", "internal/artifact/disk", false, false},
	} {
		r := decide(importRules(), tc.from, tc.to, tc.test)
		if got := r == nil || r.allowed; got != tc.ok {
			t.Errorf("%s -> %s (test file: %v): allowed is %v", tc.from, tc.to, tc.test, got)
		}
	}
}

func TestLayersDecide(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		ok       bool
	}{
		{"cmd/tako", "internal/job", true},
		{"internal/runner", "internal/sandbox", true},
		{"internal/sandbox", "internal/runner", false},
		{"internal/engine/gvisor", "internal/engine", true},
		{"internal/engine/gvisor", "internal/engine/cgroup", true},
		{"internal/engine", "internal/engine/gvisor", false},
		{"internal/api", "internal/mcp", false},
		{"internal/cli/table", "internal/cli", true},
		{"internal/nowhere", "internal/job", false},
		{"tako", "internal/runner", true},
		{"internal/job", "tako", false},
	} {
		if msg := layerProblem(tc.from, tc.to); (msg == "") != tc.ok {
			t.Errorf("%s -> %s: %q", tc.from, tc.to, msg)
		}
	}
}

func TestCallsSleep(t *testing.T) {
	for text, want := range map[string]bool{
		"import \"time\"\nfunc f() { time.Sleep(1) }":            true,
		"import clock \"time\"\nfunc f() { clock.Sleep(1) }":     true,
		"import \"time\"\nvar f = time.Sleep":                    true,
		"import \"time\"\nfunc f() { time.Now() }":               false,
		"var time x\nfunc f() { x.Sleep(1) }":                    false,
		"import \"time\"\nvar _ = time.Now\nvar f = clock.Sleep": false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a_test.go", "package a\n"+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := callsSleep(file); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
