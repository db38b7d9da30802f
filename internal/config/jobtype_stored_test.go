package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
)

func TestJobTypesAreKept(t *testing.T) {
	count := 2
	full := JobType{
		Name: "full", Requirements: []string{"numpy"}, PythonVersion: "3.12", BaseImage: "i", SharedCode: []string{"lib"}, Preload: []string{"os"},
		Environment: map[string]string{"SECRET": "not masked"}, MemoryLimit: 96 << 20, CPULimit: 0.5, Timeout: 3600, StartupTimeout: 11,
		Network: job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example:443"}}, SessionEnabled: true,
		GPU: GPU{Enabled: true, Vendor: "nvidia", Count: &count}, Image: "i", Language: "node",
		Limits: TypeLimits{PIDs: &count, Disk: 5 << 20, Stdout: &count, Stderr: &count, Artifact: &count},
	}
	for _, text := range []string{`{"name": "plain"}`, "name: plain"} {
		plain, err := DecodeJobType([]byte(text))
		if err != nil || plain.MemoryLimit != 512<<20 || plain.Timeout != 30 {
			t.Errorf("%s: %+v, %v", text, plain, err)
		}
	}
	short, err := DecodeJobType([]byte(`{"name": "a", "env": {"A": "b"}}`))
	if err != nil || short.Environment["A"] != "b" {
		t.Errorf("by its shorter name: %+v, %v", short, err)
	}
	data, err := EncodeJobType(full)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeJobType(data)
	if diff := cmp.Diff(full, again); diff != "" || err != nil {
		t.Errorf("%v, kept as (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"": "name: is required", "{": "", "[]": "", `{"name": "a b"}`: "name", `{"name": "a", "memory_limit": 5}`: "memory_limit", `{"name": "a", "colour": 1}`: "colour",
		`{"name": "a", "network": {"mode": "allow"}}`: "network.allow",
	} {
		if _, err := DecodeJobType([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
