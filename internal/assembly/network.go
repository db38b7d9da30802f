package assembly

import (
	"fmt"
	"net/netip"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
)

// allowedCIDRs are the private ranges that the operator opens.
func allowedCIDRs(cfg *config.Config) (allow []netip.Prefix, err error) {
	for _, text := range cfg.EgressAllowCIDRs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, job.Errorf(job.KindConfig, "egress_allow_cidrs: %w", err)
		}
		allow = append(allow, p.Masked())
	}
	return allow, nil
}

// Egress is what policies of networks are made with. Only where there are secrets
// is an authority made for them.
func Egress(cfg *config.Config, secrets []egress.Secret) (o egress.Options, err error) {
	if o.AllowCIDRs, err = allowedCIDRs(cfg); err != nil || len(secrets) == 0 {
		return o, err
	}
	o.Secrets = secrets
	o.Authority, err = egress.NewAuthority()
	return o, err
}

// CheckNetworks finds what is wrong with the networks of the configuration's job
// types, before a job runs into it. The error is job.KindConfig, its cause is
// config.Problems.
func CheckNetworks(cfg *config.Config) error {
	var found config.Problems
	for i, t := range cfg.JobTypes {
		o, err := Egress(cfg, egress.Unvalued(t.Secrets))
		if err != nil {
			return err
		}
		if _, err := egress.Compile(t.Policy(), o); err != nil {
			found = append(found, config.Problem{Field: fmt.Sprintf("job_types[%d].network", i), Msg: err.Error()})
		}
	}
	if len(found) == 0 {
		return nil
	}
	return job.Errorf(job.KindConfig, "%w", found)
}
