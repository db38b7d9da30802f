package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
	"github.com/takovm/tako/internal/redact"
)

// Options are what a policy needs beside what a job asked for.
type Options struct {
	// AllowCIDRs are the operator's: ranges that names of a policy may resolve
	// to, and that its CIDRs may name, although they are private. They do not
	// open anything in the mode public.
	AllowCIDRs []netip.Prefix
	// Within is the policy of the job type, where the compiled one is that of
	// a request: it has to be within it (see Narrow), and nothing private is
	// open in it if it is not in the job type's. Nil for a job type's own.
	Within *job.Network

	// Secrets are put into requests to their hosts, which Authority makes
	// certificates for; Roots are whose certificates servers may have, nil for
	// this machine's.
	Secrets   []Secret
	Authority *Authority
	Roots     *x509.CertPool

	Budgets  Budgets
	Timeouts Timeouts

	// Resolver, Own and Dial are those of the netguard.Guard that connects.
	// The default resolver looks names up as they are, without the search
	// domains of this machine.
	Resolver netguard.Resolver
	Own      func() ([]netip.Addr, error)
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// Policy decides what a sandbox may dial. It does not change, so any number of
// links may have it.
type Policy struct {
	mode     job.NetworkMode
	patterns []pattern
	guard    *netguard.Guard
	budgets  Budgets
	timeouts Timeouts

	secrets   []bound
	masker    *redact.Masker // of all values
	authority *Authority
	roots     *x509.CertPool
}

// Compile makes the policy that n describes. An empty mode is none. Errors are
// job.KindInvalid and name the pattern that is wrong, and the mend.
func Compile(n job.Network, o Options) (*Policy, error) {
	p := &Policy{mode: n.Mode, budgets: o.Budgets.withDefaults(), timeouts: o.Timeouts.withDefaults()}
	var err error
	if p.patterns, err = parse(n); err != nil {
		return nil, err
	}
	if p.mode == "" {
		p.mode = job.NetworkNone
	}
	private := o.AllowCIDRs
	if n.Mode == job.NetworkPublic || o.Within != nil && o.Within.Mode == job.NetworkPublic {
		private = nil
	}
	if o.Within != nil {
		if err := Narrow(*o.Within, n); err != nil {
			return nil, err
		}
	}
	if p.guard, err = o.guard(private, p.timeouts); err != nil {
		return nil, job.Errorf(job.KindConfig, "egress_allow_cidrs: %w", err)
	}
	if err := p.checkRanges(); err != nil {
		return nil, err
	}
	return p, p.bind(o)
}

// guard makes what judges and connects. Ports are the policy's business.
func (o Options) guard(private []netip.Prefix, t Timeouts) (*netguard.Guard, error) {
	g := netguard.Options{Allow: private, Ports: netguard.AnyPort(), Resolver: o.Resolver, Own: o.Own, Dial: o.Dial, Timeout: t.Dial}
	if g.Resolver == nil {
		g.Resolver = rooted{net.DefaultResolver}
	}
	return netguard.New(g)
}

// rooted looks names up as they are: with a dot at its end no search domain
// of this machine is appended to a name, so that "db" is not "db.corp.example".
type rooted struct{ netguard.Resolver }

func (r rooted) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return r.Resolver.LookupNetIP(ctx, network, canonical(host)+".")
}

// parse reads the patterns of n and holds them against its mode.
func parse(n job.Network) ([]pattern, error) {
	switch n.Mode {
	case "", job.NetworkNone, job.NetworkPublic:
		if len(n.Allow) > 0 {
			return nil, job.Errorf(job.KindInvalid, "network patterns do nothing in the mode %q", string(n.Mode)).
				WithHint("use the mode allow, or leave them out")
		}
		return nil, nil
	case job.NetworkAllow:
	default:
		return nil, job.Errorf(job.KindInvalid, "network mode %q is not known", cut(string(n.Mode), 32)).WithHint("use none, allow or public")
	}
	switch {
	case len(n.Allow) == 0:
		return nil, job.Errorf(job.KindInvalid, "the network mode allow has no patterns").WithHint("name hosts, or use the mode none")
	case len(n.Allow) > maxPatterns:
		return nil, job.Errorf(job.KindInvalid, "%d network patterns are too many", len(n.Allow)).WithHint("%d is the most", maxPatterns)
	}
	list := make([]pattern, 0, len(n.Allow))
	for _, text := range n.Allow {
		p, err := parsePattern(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// checkRanges refuses CIDRs that have what may not be dialled: they would look
// as if they opened it.
func (p *Policy) checkRanges() error {
	for _, pt := range p.patterns {
		if !pt.prefix.IsValid() {
			continue
		}
		var refused *netguard.RefusedError
		if err := p.guard.CheckRange(pt.prefix); errors.As(err, &refused) {
			return badPattern(pt.text, "it has addresses that may not be dialled: "+refused.Reason,
				"name a public range; private ones are the operator's to open, with egress_allow_cidrs")
		}
	}
	return nil
}

// Mode is the policy's.
func (p *Policy) Mode() job.NetworkMode { return p.mode }

// admitName answers why a name may not be looked up, or nothing. host is
// canonical and has the form of a name.
func (p *Policy) admitName(host string) string {
	switch p.mode {
	case job.NetworkAllow:
		if len(p.portsOf(host)) == 0 {
			return reasonNoName
		}
		return ""
	case job.NetworkPublic:
		if !slices.Contains([]byte(host), '.') {
			return reasonLocalName
		}
		return ""
	}
	return reasonNone
}

// admit answers why a connection may not be made, or nothing, as far as that
// can be said before host is resolved. host is a canonical name or an address.
func (p *Policy) admit(host string, port uint16) string {
	if p.mode == job.NetworkPublic {
		if _, err := netip.ParseAddr(host); err == nil {
			return ""
		}
		return p.admitName(host)
	}
	if p.mode != job.NetworkAllow {
		return reasonNone
	}
	switch ranges := p.portsOf(host); {
	case len(ranges) > 0 && open(ranges, port):
		return ""
	case len(ranges) > 0:
		return reasonPort(ranges)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return reasonNoCIDR
	}
	return reasonNoName
}

// portsOf lists the ports that the patterns open for host, a canonical name or
// an address; none if no pattern is for it.
func (p *Policy) portsOf(host string) []ports {
	var list []ports
	ip, err := netip.ParseAddr(host)
	for i := range p.patterns {
		pt := &p.patterns[i]
		if err == nil && pt.coversAddr(ip) || err != nil && pt.covers(host) {
			list = append(list, pt.ports...)
		}
	}
	return list
}

// namesAreListed reports whether a name that a connection hides would get
// around the policy.
func (p *Policy) namesAreListed() bool { return p.mode != job.NetworkPublic }

// refusal turns an error of the guard into a reason for the record.
func refusal(err error) string {
	var refused *netguard.RefusedError
	var dns *net.DNSError
	switch {
	case errors.As(err, &refused) && refused.Addr.IsValid():
		if refused.Host == refused.Addr.String() {
			return refused.Reason
		}
		return reasonAddress(refused.Addr, refused.Reason)
	case errors.As(err, &refused):
		return refused.Reason
	case errors.As(err, &dns) && dns.IsNotFound:
		return "allowed, but the name does not resolve"
	case errors.As(err, &dns):
		return "allowed, but the name could not be resolved"
	case errors.Is(err, context.DeadlineExceeded):
		return "allowed, but it did not answer in time"
	}
	return "allowed, but it could not be reached"
}
