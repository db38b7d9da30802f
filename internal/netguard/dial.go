package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxAddresses bounds what one name may resolve to.
const maxAddresses = 64

// DialContext connects to address, "host:port", if the guard allows it: the
// DialContext of an http.Transport. network is tcp, tcp4 or tcp6. The error is
// a *RefusedError where the guard said no, and otherwise wraps that of the
// resolver or of the last connection that was tried.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.o.Timeout)
	defer cancel()
	host, port, err := g.split(address)
	if err != nil {
		return nil, err
	}
	ips, err := g.Resolve(ctx, network, host)
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		var conn net.Conn
		if conn, err = g.dialOne(ctx, network, netip.AddrPortFrom(ip, port), len(ips)-i); err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("connecting to %s: %w", host, err)
}

// dialOne gives one of left addresses its share of the time that is left, so
// that a dead first one does not use up all of it.
func (g *Guard) dialOne(ctx context.Context, network string, to netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return g.o.Dial(ctx, network, to.String())
}

// split takes "host:port" apart and judges the port.
func (g *Guard) split(address string) (host string, port uint16, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("the address to dial: %w", err)
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, &RefusedError{Host: host, Reason: "its port is not a number from 1 to 65535"}
	}
	err = g.CheckPort(uint16(n))
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Port != 0 {
		refused.Host = host
	}
	return host, uint16(n), err
}

// Resolve answers the addresses of host, a name or an address, all of them
// judged and allowed, at least one, IPv4-mapped ones as IPv4. network is tcp,
// tcp4 or tcp6. Whoever connects must use these addresses and not look host up
// again.
func (g *Guard) Resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	family, err := familyOf(network)
	if err != nil {
		return nil, err
	}
	ips, err := g.lookUp(ctx, family, host)
	if err != nil {
		return nil, err
	}
	kept := ips[:0:0]
	for _, ip := range ips {
		if reason := g.judge(ip); reason != "" {
			return nil, &RefusedError{Host: host, Addr: ip, Reason: reason}
		}
		// A resolver that was asked for one family may answer both.
		if ip = ip.Unmap(); family == "ip" || (family == "ip4") == ip.Is4() {
			kept = append(kept, ip)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s has no address that %s can be used with", host, network)
	}
	return kept, nil
}

// familyOf turns the network of a dial into that of a look-up. Nothing but TCP
// is dialled: a Unix socket has no address to judge.
func familyOf(network string) (string, error) {
	switch network {
	case "tcp":
		return "ip", nil
	case "tcp4":
		return "ip4", nil
	case "tcp6":
		return "ip6", nil
	}
	return "", &RefusedError{Host: strconv.Quote(network), Reason: "not a TCP network"}
}

// lookUp answers the addresses of a name, or the address that host is.
func (g *Guard) lookUp(ctx context.Context, family, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	if reason := nameProblem(host); reason != "" {
		return nil, &RefusedError{Host: strconv.Quote(host), Reason: reason}
	}
	ips, err := g.o.Resolver.LookupNetIP(ctx, family, host)
	switch {
	case err != nil:
		return nil, fmt.Errorf("resolving %s: %w", host, err)
	case len(ips) == 0:
		return nil, fmt.Errorf("resolving %s: it has no address", host)
	case len(ips) > maxAddresses:
		return nil, &RefusedError{Host: host, Reason: "it has " + strconv.Itoa(len(ips)) + " addresses"}
	}
	return ips, nil
}

// CheckName judges the form of a name, without looking it up: nil, or a
// *RefusedError. A dot at the end is part of a name; an address is none.
func CheckName(host string) error {
	if reason := nameProblem(host); reason != "" {
		return &RefusedError{Host: strconv.Quote(host), Reason: reason}
	}
	return nil
}

// nameProblem says why host is no name to look up, or nothing. It is stricter
// than DNS and as strict as what certificates are made for.
func nameProblem(host string) string {
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > 253 {
		return "not a host name"
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "not a host name"
		}
		if strings.ContainsFunc(label, notInLabel) {
			return "not a host name"
		}
	}
	if numeric(labels[len(labels)-1]) {
		return "neither a host name nor an address in its usual form"
	}
	return ""
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// numeric reports a label that some parser takes for a part of an IPv4 address.
func numeric(label string) bool {
	rest, base := label, 10
	if len(label) >= 2 && label[0] == '0' && label[1]|0x20 == 'x' {
		rest, base = label[2:], 16
	}
	for _, r := range rest {
		if _, err := strconv.ParseUint(string(r), base, 8); err != nil {
			return false
		}
	}
	return true
}
