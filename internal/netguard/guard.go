package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Options configure a Guard. The zero value refuses what the package's doc
// says and allows ports 80 and 443.
type Options struct {
	// Allow opens ranges that are refused otherwise, this machine's own
	// addresses included. IPv4 ranges are written as IPv4. Default none.
	Allow []netip.Prefix
	// Ports are those that may be dialled. Default 80 and 443.
	Ports []Ports
	// Resolver looks names up. Default net.DefaultResolver.
	Resolver Resolver
	// Own lists the addresses of this machine; it is asked for each address
	// that nothing else refuses, because interfaces come and go. Default the
	// interfaces of the system.
	Own func() ([]netip.Addr, error)
	// Dial connects to a judged address, never to a name. Default a
	// net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds one DialContext, look-up included. Default 10 seconds.
	Timeout time.Duration
}

// Ports is a range of ports, both ends included.
type Ports struct{ From, To uint16 }

// AnyPort is every port.
func AnyPort() []Ports { return []Ports{{1, 65535}} }

// Resolver is the part of a net.Resolver that a Guard needs.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard judges addresses and dials those it allows. It does not change, so any
// number of goroutines may use it.
type Guard struct {
	o        Options
	blocks   []block
	internet netip.Prefix
}

const defaultTimeout = 10 * time.Second

// New makes a Guard. It fails on an allow list with an invalid range or one
// that is written as IPv4-mapped, which would match nothing, and on a range of
// ports that is empty.
func New(o Options) (*Guard, error) {
	for _, p := range o.Allow {
		switch {
		case !p.IsValid():
			return nil, errors.New("netguard: the allow list has an invalid range")
		case p.Addr().Is4In6():
			return nil, fmt.Errorf("netguard: %s of the allow list matches nothing: write it as IPv4", p)
		}
	}
	for _, p := range o.Ports {
		if p.From > p.To {
			return nil, fmt.Errorf("netguard: ports %d to %d are no range", p.From, p.To)
		}
	}
	if o.Ports == nil {
		o.Ports = []Ports{{80, 80}, {443, 443}}
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Own == nil {
		o.Own = interfaces
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Guard{o: o, blocks: blocks(), internet: internet()}, nil
}

// RefusedError says what was not dialled and why.
type RefusedError struct {
	Host   string     // as it was asked for; empty when an address was judged by itself
	Addr   netip.Addr // the address that is refused; not valid when a port or a name is
	Port   uint16     // the port that is refused; else 0
	Reason string     // "private network (10.0.0.0/8)"
}

func (e *RefusedError) Error() string {
	what := e.Host
	if e.Addr.IsValid() {
		what = e.Addr.String()
		if e.Host != "" && e.Host != what {
			what += " (an address of " + e.Host + ")"
		}
	}
	if e.Port != 0 {
		what = "port " + strconv.Itoa(int(e.Port))
		if e.Host != "" {
			what += " of " + e.Host
		}
	}
	return what + " may not be dialled: " + e.Reason
}

// Check judges one address: nil, or a *RefusedError. IPv4-mapped addresses are
// the IPv4 address they hold.
func (g *Guard) Check(ip netip.Addr) error {
	if reason := g.judge(ip); reason != "" {
		return &RefusedError{Addr: ip, Reason: reason}
	}
	return nil
}

// judge answers why ip is refused, or nothing.
func (g *Guard) judge(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "not an address"
	case ip.Zone() != "":
		// No range contains an address with a zone, so none would match.
		return "an address of one interface only"
	}
	ip = ip.Unmap()
	if carried, ok := inner(ip); ok {
		if reason := g.judge(carried); reason != "" {
			return g.outerReason(ip) + ", leads to " + carried.String() + ": " + reason
		}
	}
	if g.allowed(ip) {
		return ""
	}
	if reason := g.outerReason(ip); reason != "" {
		return reason
	}
	return g.ownReason(ip)
}

func (g *Guard) allowed(ip netip.Addr) bool {
	for _, p := range g.o.Allow {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// outerReason holds ip against the table.
func (g *Guard) outerReason(ip netip.Addr) string {
	for _, b := range g.blocks {
		if b.prefix.Contains(ip) {
			return b.reason + " (" + b.prefix.String() + ")"
		}
	}
	if ip.Is6() && !g.internet.Contains(ip) {
		return "outside of the public internet (" + g.internet.String() + ")"
	}
	return ""
}

// ownReason refuses the addresses of this machine. If they cannot be listed,
// every address may be one of them.
func (g *Guard) ownReason(ip netip.Addr) string {
	own, err := g.o.Own()
	if err != nil {
		return "this machine's own addresses cannot be listed: " + err.Error()
	}
	for _, mine := range own {
		if mine.Unmap().WithZone("") == ip {
			return "this machine's own address"
		}
	}
	return ""
}

// CheckPort judges a port: nil, or a *RefusedError. Port 0 is always refused.
func (g *Guard) CheckPort(port uint16) error {
	for _, p := range g.o.Ports {
		if port != 0 && port >= p.From && port <= p.To {
			return nil
		}
	}
	if port == 0 {
		return &RefusedError{Host: "port 0", Reason: "it is no port"}
	}
	return &RefusedError{Port: port, Reason: "not one of the allowed ports"}
}

// interfaces lists the addresses of the system's interfaces.
func interfaces() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	own := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				own = append(own, ip)
			}
		}
	}
	return own, nil
}

// CheckRange judges a whole range: nil if every address of it may be dialled as
// far as the table goes, or a *RefusedError that names the first part that may
// not. This machine's own addresses are left to Check.
func (g *Guard) CheckRange(p netip.Prefix) error {
	for _, b := range g.blocks {
		part := b.prefix
		if part.Bits() < p.Bits() {
			part = p
		}
		if b.prefix.Overlaps(p) && !g.opened(part) {
			return &RefusedError{Host: p.String(), Reason: b.reason + " (" + b.prefix.String() + ")"}
		}
	}
	return nil
}

// opened reports whether one range of the allow list has all of p.
func (g *Guard) opened(p netip.Prefix) bool {
	for _, a := range g.o.Allow {
		if a.Bits() <= p.Bits() && a.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// ParseRanges reads ranges of addresses, as an allow list of a configuration
// has them.
func ParseRanges(texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
