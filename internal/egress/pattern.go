package egress

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
)

// pattern is one line of a policy: a name, all names below a name, or a range
// of addresses; and ports.
type pattern struct {
	text     string
	name     string // lower case, without a dot at its end; empty with a range
	wildcard bool   // names below name, and not name
	prefix   netip.Prefix
	ports    []ports
}

const (
	maxPatterns   = 256
	minPrefixBits = 8 // wider ranges are a quarter of the internet or more, and a slip
)

// parsePattern reads "api.example.com", "*.example.com:8000-8100",
// "192.0.2.0/24:5432". Errors are job.KindInvalid.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text, ports: []ports{{httpPort, httpPort}, {httpsPort, httpsPort}}}
	if problem, mend := shapeProblem(text); problem != "" {
		return p, badPattern(text, problem, mend)
	}
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		r, ok := parsePorts(text[i+1:])
		if !ok {
			return p, badPattern(text, "its ports are no range from 1 to 65535", "write name:443 or name:8000-8100")
		}
		host, p.ports = text[:i], []ports{r}
	}
	var problem, mend string
	if strings.Contains(host, "/") {
		p.prefix, problem, mend = parseRange(host)
	} else {
		p.name, p.wildcard, problem, mend = parseName(host)
	}
	if problem != "" {
		return p, badPattern(text, problem, mend)
	}
	return p, nil
}

func badPattern(text, problem, mend string) error {
	return job.Errorf(job.KindInvalid, "network pattern %s: %s", strconv.Quote(cut(text, maxHost)), problem).WithHint("%s", mend)
}

// shapeProblem finds what is no pattern at all but often written as one.
func shapeProblem(text string) (problem, mend string) {
	switch {
	case text == "":
		return "it is empty", "name a host, as in api.example.com"
	case len(text) > 300:
		return "it is longer than any host name", "name a host, as in api.example.com"
	case strings.Contains(text, "://"):
		return "it is a URL", "name the host alone, as in api.example.com or api.example.com:8443"
	case strings.ContainsAny(text, "[]") || strings.Count(text, ":") > 1:
		return "it is an IPv6 address, or has two ports", "sandboxes have IPv4; name the host, which may have IPv6 addresses"
	case strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }):
		return "it has letters beyond ASCII", "write the name as DNS has it, xn--..."
	}
	return "", ""
}

func parsePorts(s string) (ports, bool) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	ok := err1 == nil && err2 == nil && from > 0 && from <= to && !strings.ContainsAny(s, "+_")
	return ports{uint16(from), uint16(to)}, ok
}

func parseRange(s string) (p netip.Prefix, problem, mend string) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, "it is no range of addresses", "write a CIDR as in 192.0.2.0/24, or a host name without a path"
	case !p.Addr().Is4():
		return p, "it is a range of IPv6", "sandboxes have IPv4; name the host, which may have IPv6 addresses"
	case p.Bits() == 0:
		return p, "it covers every address", "name a narrower range, or use the mode public"
	case p.Bits() < minPrefixBits:
		return p, "it is wider than a /8", "name narrower ranges, or use the mode public"
	case p != p.Masked():
		return p, "it has bits set beyond its length", "write " + p.Masked().String()
	case p.Overlaps(Prefix()):
		return p, "it is the range of the sandboxes' own addresses", "name the host instead"
	}
	return p, "", ""
}

func parseName(host string) (name string, wildcard bool, problem, mend string) {
	if host == "*" || host == "*." {
		return "", false, "it covers every name", "use the mode public"
	}
	name, wildcard = strings.CutPrefix(host, "*.")
	name = canonical(name)
	if ip, err := netip.ParseAddr(name); err == nil && !wildcard {
		return "", false, "it is an address", "write it as a range, " + ip.String() + "/32"
	}
	switch err := netguard.CheckName(name); {
	case strings.Contains(name, "*"):
		return "", false, "a star stands for whole labels at the beginning only", "write it as in *.example.com"
	case err != nil:
		return "", false, "it is no host name", "name a host, as in api.example.com or *.example.com"
	case wildcard && !strings.Contains(name, ".") && !privateDomain(name):
		return "", false, "it covers a whole top-level domain", "name the domain, as in *.example." + name
	}
	return name, wildcard, "", ""
}

// privateDomain reports a top-level domain that is nobody's on the internet and
// many a network's own.
func privateDomain(name string) bool {
	return slices.Contains([]string{"internal", "local", "lan", "corp", "home", "intranet", "private"}, name)
}

// canonical is the form in which names are compared.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// covers reports whether the pattern is for host, a canonical name.
func (p *pattern) covers(host string) bool {
	if p.wildcard {
		return strings.HasSuffix(host, "."+p.name)
	}
	return p.name != "" && host == p.name
}

func (p *pattern) coversAddr(ip netip.Addr) bool { return p.prefix.IsValid() && p.prefix.Contains(ip) }

// open reports whether one of the ranges has port.
func open(ranges []ports, port uint16) bool {
	return slices.ContainsFunc(ranges, func(r ports) bool { return port >= r.from && port <= r.to })
}
