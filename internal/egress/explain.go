package egress

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
)

// Verdict says what would happen to a connection, and why.
type Verdict struct {
	Target  string `json:"target"` // as it was asked for
	Host    string `json:"host"`
	Port    uint16 `json:"port"`
	Allowed bool   `json:"allowed"`
	// Reason is that of the record's refusal; empty where it is allowed.
	Reason string `json:"reason,omitempty"`
	Steps  []Step `json:"steps"` // in the order in which they are taken
}

// Step is one thing that is looked at.
type Step struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Why  string `json:"why"`
}

// Explain says what would happen if a sandbox with this policy connected to
// target now: a URL, "host" (port 443) or "host:port". It asks what a
// connection asks, and looks the name up, but connects to nothing. A target
// that cannot be understood is an error of job.KindInvalid.
func (p *Policy) Explain(ctx context.Context, target string) (Verdict, error) {
	host, port, err := parseTarget(target)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Target: target, Host: host, Port: port, Allowed: true}
	v.step("mode", reasonIf(p.mode == job.NetworkNone, reasonNone), "the network mode is "+string(p.mode))
	ip, notAddr := netip.ParseAddr(host)
	if v.Allowed && ip.Is6() {
		v.step("address", reasonIPv6, "")
	}
	if isName := notAddr != nil; v.Allowed && isName {
		reason := reasonIf(netguard.CheckName(host) != nil, reasonBadName)
		if reason == "" {
			reason = p.admitName(host)
		}
		v.step("name", reason, p.found(host))
	}
	if v.Allowed {
		v.step("port", p.admit(host, port), p.openPort(host, port))
	}
	if v.Allowed {
		p.explainAddress(ctx, &v, notAddr == nil)
	}
	return v, nil
}

// explainAddress is what is looked at when the guest connects.
func (p *Policy) explainAddress(ctx context.Context, v *Verdict, isAddr bool) {
	ctx, cancel := context.WithTimeout(ctx, p.timeouts.Dial)
	defer cancel()
	ips, err := p.guard.Resolve(ctx, "tcp", v.Host)
	if err != nil {
		v.step("address", refusal(err), "")
		return
	}
	texts := make([]string, 0, len(ips))
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	v.step("address", "", strings.Join(texts, ", ")+" may be dialled")
	for _, s := range p.secretsFor(v.Host, v.Port) {
		v.step("secret", "", s.placeholder+" becomes its value in the header "+s.field+"; the connection is opened for that")
	}
	switch {
	case isAddr:
	case v.Port == httpsPort:
		v.step("TLS", "", "the client hello has to name "+v.Host)
	case v.Port == httpPort:
		v.step("HTTP", "", "the request's Host has to be "+v.Host)
	}
}

// step adds one; a reason means that the connection ends here.
func (v *Verdict) step(what, reason, fine string) {
	if reason == "" {
		v.Steps = append(v.Steps, Step{What: what, OK: true, Why: fine})
		return
	}
	v.Allowed, v.Reason = false, reason
	v.Steps = append(v.Steps, Step{What: what, Why: reason})
}

func reasonIf(bad bool, reason string) string {
	if bad {
		return reason
	}
	return ""
}

// found names the pattern that allows a name.
func (p *Policy) found(host string) string {
	for i := range p.patterns {
		if p.patterns[i].covers(host) {
			return "the pattern " + p.patterns[i].text + " allows it"
		}
	}
	return "every name of the internet is allowed"
}

// openPort names the pattern that opens a port.
func (p *Policy) openPort(host string, port uint16) string {
	ip, err := netip.ParseAddr(host)
	for i := range p.patterns {
		pt := &p.patterns[i]
		if (err == nil && pt.coversAddr(ip) || err != nil && pt.covers(host)) && open(pt.ports, port) {
			return fmt.Sprintf("port %d is open by %s", port, pt.text)
		}
	}
	return fmt.Sprintf("port %d is open", port)
}

// parseTarget understands what a person writes.
func parseTarget(target string) (host string, port uint16, err error) {
	bad := job.Errorf(job.KindInvalid, "%s is nothing that could be dialled", strconv.Quote(cut(target, maxHost))).
		WithHint("give a URL, a host, or host:port")
	text, service := target, ""
	if scheme, _, isURL := strings.Cut(target, "://"); isURL {
		u, err := url.Parse(target)
		if err != nil {
			return "", 0, bad
		}
		if text, service = u.Hostname(), u.Port(); service == "" {
			if service = schemePort(scheme); service == "" {
				return "", 0, bad.WithHint("name the port: %s has none that is known", strconv.Quote(cut(scheme, 32)))
			}
		}
	} else if i := strings.LastIndexByte(target, ':'); i >= 0 && strings.Count(target, ":") == 1 {
		text, service = target[:i], target[i+1:]
	} else {
		service = strconv.Itoa(httpsPort)
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if host = canonical(strings.Trim(text, "[]")); err != nil || n == 0 || host == "" {
		return "", 0, bad
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return host, uint16(n), nil
}

// schemePort is the port of a URL that does not say it.
func schemePort(scheme string) string {
	switch strings.ToLower(scheme) {
	case "https", "wss":
		return "443"
	case "http", "ws":
		return "80"
	case "ssh", "sftp", "git+ssh":
		return "22"
	case "git":
		return "9418"
	case "postgres", "postgresql":
		return "5432"
	case "mysql":
		return "3306"
	case "redis":
		return "6379"
	}
	return ""
}
