package netguard

import "net/netip"

// block is a range that is refused, and what it is.
type block struct {
	prefix netip.Prefix
	reason string
}

// blocks lists what is refused, the narrower range first where two overlap: the
// first match gives the reason. Sources are the special-purpose registries of
// IANA and, for the metadata services that are not in them, the clouds' own
// documents. Where a registry has a globally reachable exception inside a
// refused range (2001:1::1, 192.0.0.9), the exception is refused, too: anycast
// services of a network are none of a webhook's business.
func blocks() []block {
	var list []block
	add := func(reason string, prefixes ...string) {
		for _, p := range prefixes {
			list = append(list, block{netip.MustParsePrefix(p), reason})
		}
	}
	add("unspecified", "0.0.0.0/32", "::/128")
	add("this network", "0.0.0.0/8")
	add("loopback", "127.0.0.0/8", "::1/128")
	add("private network", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
	add("carrier-grade NAT", "100.64.0.0/10")
	add("metadata service", "169.254.169.254/32", "168.63.129.16/32", "fd00:ec2::254/128")
	add("link-local", "169.254.0.0/16", "fe80::/10")
	add("protocol assignments", "192.0.0.0/24")
	add("documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
	add("6to4 relay", "192.88.99.0/24")
	add("benchmarks", "198.18.0.0/15", "2001:2::/48")
	add("broadcast", "255.255.255.255/32")
	add("multicast", "224.0.0.0/4", "ff00::/8")
	add("reserved", "240.0.0.0/4")

	add("unique local network", "fc00::/7")
	add("site-local", "fec0::/10")
	add("IPv4-translated", "::ffff:0:0:0/96")
	add("IPv4-compatible", "::/96")
	add("NAT64", "64:ff9b::/96", "64:ff9b:1::/48")
	add("Teredo", "2001::/32")
	add("protocol assignments", "2001::/23")
	add("6to4", "2002::/16")
	return list
}

// internet is the part of IPv6 from which public addresses are given out.
func internet() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// inner answers the IPv4 address that an IPv6 address carries. ip is neither
// IPv4 nor IPv4-mapped. The embedding of 64:ff9b:1::/48 depends on the network,
// so that range answers nothing and stays refused unless the list opens it.
func inner(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch {
	case netip.MustParsePrefix("::/127").Contains(ip): // unspecified and loopback
		return netip.Addr{}, false
	case netip.MustParsePrefix("::/96").Contains(ip),
		netip.MustParsePrefix("::ffff:0:0:0/96").Contains(ip),
		netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
		return at(12), true
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return at(2), true
	case netip.MustParsePrefix("2001::/32").Contains(ip):
		// The client's address is stored inverted; the server's, in the
		// bytes before, is where packets go first, and is public or useless.
		for i := 12; i < 16; i++ {
			b[i] ^= 0xff
		}
		return at(12), true
	}
	return netip.Addr{}, false
}
