// Package netguard decides which network addresses may be dialled on behalf of
// somebody who is not trusted: whoever names the URL of a webhook, or a job
// that asks for the network. It imports the standard library only.
//
// # What is refused
//
// An address of the public internet may be dialled and nothing else: not this
// machine (loopback, the addresses of its interfaces), not what is near it
// (private, link-local, carrier-grade NAT and unique local networks, the
// metadata services of clouds), not what is no single machine (multicast,
// broadcast, unspecified) and not what is reserved, for documentation or
// benchmarks. Of IPv6 only 2000::/3 is the internet; what lies outside is
// refused without being named.
//
// Some IPv6 addresses carry an IPv4 address, and a translator or tunnel on the
// way would take a packet there. One that is IPv4-mapped is the IPv4 address and
// is judged as such. The others (IPv4-compatible, NAT64, 6to4, Teredo) are
// refused.
//
// The operator's allow list opens ranges again. It does not reach through: an
// address that carries another is dialled only if the list opens the range of
// the outer one and the inner one may be dialled, too. So 64:ff9b::/96 in the
// list is right on a machine that has nothing but IPv6 behind a NAT64, and does
// not open 64:ff9b::10.0.0.1.
//
// # Names
//
// A name is resolved once, every address it has is judged, and the connection
// is made to a judged address, never to the name: a second look-up could answer
// something else (DNS rebinding). A name with one refused address is refused as
// a whole, because a public address beside a private one is how rebinding is
// tried.
//
// What only some parsers take for an address (127.1, 0x7f000001, 0177.0.0.1) is
// no name either: the last label of a name is not a number.
//
// # What it does not do
//
// It sees connections, not requests. An http.Transport that dials through a
// Guard must have no Proxy, or the guard would judge the proxy's address; and
// what a server answers, a redirect for one, is the business of the client.
package netguard
