package egress

import "net/netip"

// The address plan of a sandbox. 198.18.0.0/15 is set aside for benchmarks, so
// no name of the internet resolves to it and netguard refuses it: a synthetic
// address that escapes means nothing.
const (
	GuestIP   = "198.18.0.2" // of the sandbox's only device
	GatewayIP = "198.18.0.1" // its default route and its only resolver
	PrefixLen = 15           // of both

	// MTU is that of both ends. A packet is one message of a socket, so the
	// largest that IPv4 has room for is the cheapest per byte.
	MTU = 65000

	dnsPort   = 53
	httpPort  = 80
	httpsPort = 443
)

// Prefix is the network that guest, gateway and synthetic addresses are in.
func Prefix() netip.Prefix { return netip.PrefixFrom(netip.MustParseAddr("198.18.0.0"), PrefixLen) }

func guestAddr() netip.Addr   { return netip.MustParseAddr(GuestIP) }
func gatewayAddr() netip.Addr { return netip.MustParseAddr(GatewayIP) }

// firstName is the synthetic address of the first name that is asked for; the
// others follow.
const firstName uint32 = 198<<24 | 18<<16 | 1<<8

// maxNames is how many addresses the plan has from firstName on.
const maxNames = 1<<17 - 1<<8

func nameAddr(i int) netip.Addr {
	n := firstName + uint32(i)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// nameIndex is the reverse of nameAddr; negative for other addresses.
func nameIndex(ip netip.Addr) int {
	if !ip.Is4() {
		return -1
	}
	b := ip.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	if n < firstName || n-firstName >= maxNames {
		return -1
	}
	return int(n - firstName)
}
