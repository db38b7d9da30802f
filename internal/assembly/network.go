package assembly

import (
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

// Egress is what policies of networks are made with.
func Egress(cfg *config.Config) (egress.Options, error) {
	allow, err := allowedCIDRs(cfg)
	return egress.Options{AllowCIDRs: allow}, err
}
