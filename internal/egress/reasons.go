package egress

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Reasons of refusals: what a person reads in the record of a job and in
// "tako net explain". Each says what the rule is, so that the mend is plain.
const (
	reasonNotAttached = "the sandbox has no policy yet"
	reasonNone        = "the network mode is none"
	reasonNoName      = "not one of the names that the policy allows"
	reasonNoCIDR      = "an address can be dialled only where the policy has a CIDR for it"
	reasonUnassigned  = "no name was given this address"
	reasonGateway     = "the gateway answers DNS on port 53 only"
	reasonUDP         = "UDP is carried to the sandbox's own DNS only"
	reasonICMP        = "ICMP is not carried"
	reasonProtocol    = "of IPv4 only TCP and DNS are carried"
	reasonIPv6        = "IPv6 is not carried"
	reasonSpoofed     = "the packet's source is not the sandbox's address"
	reasonFragment    = "fragments and IPv4 options are not carried"
	reasonNowhere     = "loopback, multicast and broadcast do not leave the sandbox"
	reasonMalformed   = "the packet is malformed"
	reasonLocalName   = "a name of one label is not one of the internet"
	reasonBadName     = "not a host name"
	reasonDNSBad      = "the DNS query is malformed"
	reasonBytesIn     = "the budget of bytes to the sandbox is spent"
	reasonBytesOut    = "the budget of bytes from the sandbox is spent"
)

func reasonConcurrent(b Budgets) string {
	return fmt.Sprintf("more than %d connections at once", b.Concurrent)
}

func reasonConnections(b Budgets) string {
	return fmt.Sprintf("the budget of %d connections is spent", b.Connections)
}

func reasonNames(b Budgets) string {
	return fmt.Sprintf("the budget of %d names is spent", b.Names)
}

func reasonQueries(b Budgets) string {
	return fmt.Sprintf("the budget of %d DNS queries is spent", b.Queries)
}

func reasonPort(open []ports) string {
	texts := make([]string, 0, len(open))
	for _, p := range open {
		texts = append(texts, p.String())
	}
	return "its port is not open in the policy, which has " + strings.Join(texts, ", ")
}

func reasonAddress(ip netip.Addr, reason string) string {
	return "it resolves to " + ip.String() + ": " + reason
}

// ports is a range of ports, both ends included.
type ports struct{ from, to uint16 }

func (p ports) String() string {
	if p.from == p.to {
		return strconv.Itoa(int(p.from))
	}
	return fmt.Sprintf("%d-%d", p.from, p.to)
}
