package egress

import (
	"encoding/binary"
	"net/netip"
)

// Protocols of IPv4 that the filter knows.
const (
	protoICMP = 1
	protoIGMP = 2
	protoTCP  = 6
	protoUDP  = 17
)

// accept looks at a packet before the stack does: what is not plain TCP or UDP
// from the guest's own address is dropped and noted. The stack then has no
// fragments to keep, no options to follow, no echo to answer and nobody else's
// address to learn.
func (l *Link) accept(p []byte) bool {
	if len(p) > 0 && p[0]>>4 == 6 {
		l.dropIPv6(p)
		return false
	}
	if len(p) < 20 || p[0]>>4 != 4 || int(p[0]&15)*4 > len(p) || p[0]&15 < 5 || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		l.denied.add("", 0, reasonMalformed)
		return false
	}
	src, dst := addr4(p[12:]), addr4(p[16:])
	reason := ""
	switch fragment := binary.BigEndian.Uint16(p[6:]) & 0x3fff; {
	case p[9] == protoIGMP:
		return false // kernels send it by themselves
	case src != guestAddr():
		reason = reasonSpoofed
	case fragment != 0 || p[0]&15 != 5:
		reason = reasonFragment
	case p[9] == protoICMP:
		reason = reasonICMP
	case p[9] != protoTCP && p[9] != protoUDP:
		reason = reasonProtocol
	case len(p) < 20+8 || p[9] == protoTCP && len(p) < 20+20:
		reason = reasonMalformed
	case dst == guestAddr() || dst.IsLoopback() || dst.IsMulticast() || dst.IsUnspecified() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		reason = reasonNowhere
	}
	if reason == "" {
		return true
	}
	var port uint16
	if reason == reasonNowhere {
		port = binary.BigEndian.Uint16(p[22:])
	}
	l.denied.add(l.called(dst), port, reason)
	return false
}

// dropIPv6 notes a packet, unless a kernel sends it by itself when a device
// comes up.
func (l *Link) dropIPv6(p []byte) {
	if len(p) < 40 {
		l.denied.add("", 0, reasonMalformed)
		return
	}
	if dst := netip.AddrFrom16([16]byte(p[24:40])); !dst.IsLinkLocalMulticast() {
		l.denied.add(dst.String(), 0, reasonIPv6)
	}
}

// called is how the record names an address: by the name it was given for.
func (l *Link) called(ip netip.Addr) string {
	if host := l.names.host(ip); host != "" {
		return host
	}
	return ip.String()
}

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }
