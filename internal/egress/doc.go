// Package egress is the network of a sandbox: a policy that says what may be
// dialled, and a link that holds it outside of the sandbox, whatever runs
// inside.
//
// # The link
//
// A Link is a TCP/IP stack of our own in this process, one per sandbox, and a
// socket pair: one end is the stack's, the other becomes the only network
// device of the sandbox. Packets are raw IPv4. Nothing of the host's network
// configuration is touched and no privilege is needed. A TCP connection of the
// guest ends here, and another one begins here, to an address that we resolved
// and judged ourselves; no packet of the guest ever reaches a network.
//
// # Names
//
// The guest's only resolver is ours. A name that the policy has gets a
// synthetic address (see Prefix), which means that name in this sandbox and
// nothing anywhere else. What it really resolves to is asked when the guest
// connects, once, and the connection is made to an address of that answer
// (netguard). So there is no answer that could change between the check and the
// use, no time to live to respect, and no CNAME to follow. Other names do not
// exist, and a query for them goes nowhere: a name cannot carry data out.
// There are no answers of other types than A. HTTPS and SVCB records in
// particular are not given out, since they carry the keys of an encrypted
// client hello.
//
// # What is checked of a connection
//
// The name and the port, and what the name resolves to. On port 443 the name in
// the TLS client hello has to be the one that was dialled, and on port 80 the
// Host of the request, because one address serves many names (domain fronting).
// On other ports nothing is read, so that protocols in which the server speaks
// first work.
//
// What is inside TLS is not seen. A server that answers for several names on
// one TLS connection (HTTP/2 coalescing, a Host header inside of TLS) is one
// server as far as a policy goes; so is an allowed service that stores data of
// strangers.
//
// # Hostile guests
//
// Everything that comes from the guest is bounded: packets (filter.go), names,
// queries, connections, bytes, the time and size of what is parsed, and what
// the record keeps of refusals. Budgets has the numbers.
package egress
