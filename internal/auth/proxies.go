package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the proxies whose word on the caller's address is taken. The
// zero value trusts none.
type Proxies struct{ trusted []netip.Prefix }

// ParseProxies takes addresses and CIDRs, as in the key trusted_proxies.
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			ip, ipErr := netip.ParseAddr(text)
			if ipErr != nil {
				return Proxies{}, fmt.Errorf("trusted proxies: %q is neither an address nor a CIDR", text)
			}
			ip = ip.Unmap().WithZone("")
			prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return Proxies{}, fmt.Errorf("trusted proxies: %s matches nothing: write it as IPv4", text)
		}
		p.trusted = append(p.trusted, prefix.Masked())
	}
	return p, nil
}

func (p Proxies) trusts(ip netip.Addr) bool {
	for _, prefix := range p.trusted {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// Client answers the address of who made a request: that of the connection's
// other end or, if it is a trusted proxy, of whom the proxy names, and so on.
// X-Forwarded-For is read from the right, where the nearest proxy wrote; what is
// left of the first address that is not trusted was written by strangers. Where
// a proxy names what is no address, the proxy itself is the last one known. The
// result is not valid where the connection has no address (a Unix socket); it
// has no zone, and an IPv4-mapped one is IPv4.
func (p Proxies) Client(remoteAddr string, h http.Header) netip.Addr {
	client, _ := parseHop(remoteAddr)
	if !client.IsValid() || !p.trusts(client) {
		return client
	}
	lines := h.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var hop string
			rest, hop, more = cutLast(rest)
			ip, ok := parseHop(hop)
			if !ok {
				return client
			}
			client = ip
			if !p.trusts(ip) {
				return client
			}
		}
	}
	return client
}

// cutLast takes the last element off a comma list.
func cutLast(list string) (rest, last string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return "", list, false
}

// parseHop takes an address with or without a port, and IPv6 with or without
// brackets.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = ap.Addr()
	}
	return ip.Unmap().WithZone(""), true
}
