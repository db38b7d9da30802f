package assembly

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
)

// A job type whose network cannot be is found when the configuration is read, and
// not by the first job.
func TestCheckNetworks(t *testing.T) {
	cfg := config.Default("/d")
	cfg.EgressAllowCIDRs = []string{"10.20.0.0/16"}
	allow := func(patterns ...string) config.JobType {
		return config.JobType{Name: "a", Network: job.Network{Mode: job.NetworkAllow, Allow: patterns}}
	}
	bound := allow("api.example.com")
	bound.Secrets = []job.SecretBinding{{Name: "KEY", Host: "api.example.com", Header: "Authorization"}}
	cfg.JobTypes = []config.JobType{{Name: "none"}, {Name: "old", NetworkEnabled: true}, allow("10.20.1.0/24:5432", "*.example.com"), bound}
	if err := CheckNetworks(cfg); err != nil {
		t.Errorf("what is right: %v", err)
	}
	cfg.JobTypes = append(cfg.JobTypes, allow("0.0.0.0/0"), allow("10.30.0.0/16"))
	err := CheckNetworks(cfg)
	var found config.Problems
	if !errors.As(err, &found) || job.KindOf(err) != job.KindConfig {
		t.Fatalf("what is wrong: %v", err)
	}
	var fields []string
	for _, p := range found {
		fields = append(fields, p.Field)
	}
	if diff := cmp.Diff([]string{"job_types[4].network", "job_types[5].network"}, fields); diff != "" {
		t.Error(diff)
	}
}
