package egress

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"github.com/takovm/tako/internal/job"
)

// bypass is one way around a policy that must lead nowhere.
type bypass struct {
	name    string
	network job.Network
	tune    func(*Options)
	world   func(*world)
	// try is what the guest does; nil means that it got what it wanted.
	try    func(*guest) error
	host   string // what the record has to say
	port   uint16
	reason string
}

// secret is what the guest tries to bring out. No server may ever see it.
const secret = "s3cr3t"

// eager is a server that answers each request as if more might come.
type eager struct {
	mu   sync.Mutex
	seen []byte
}

func (e *eager) serve(c *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		e.mu.Lock()
		e.seen = append(e.seen, buf[:n]...)
		e.mu.Unlock()
		if err != nil {
			return
		}
		if strings.Contains(string(buf[:n]), "\r\n\r\n") {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

func (e *eager) saw(s string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Contains(string(e.seen), s)
}

var errNothing = errors.New("nothing came")

func runBypasses(t *testing.T, list []bypass) {
	t.Helper()
	for _, tc := range list {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, e := newWorld(), &eager{}
			for _, to := range []string{"1.1.1.1:443", "1.1.1.1:80", "1.1.1.1:22", "1.1.1.2:443", "1.1.1.2:80", "8.8.8.8:53", "8.8.8.8:853", "8.8.8.8:443",
				"10.0.0.1:80", "10.0.0.1:443", "169.254.169.254:80", "127.0.0.1:443", "127.0.0.1:8000", "9.9.9.9:443", "192.168.1.1:80"} {
				w.listen(t, to, e.serve)
			}
			o := w.options()
			o.Timeouts = Timeouts{Head: 300 * time.Millisecond, Linger: 100 * time.Millisecond}
			if tc.tune != nil {
				tc.tune(&o)
			}
			if tc.world != nil {
				tc.world(w)
			}
			g := newGuest(t, tc.network, o)
			if err := tc.try(g); err == nil {
				t.Error("it got through")
			}
			g.wantDenied(tc.host, tc.port, tc.reason)
			if e.saw(secret) {
				t.Error("the secret got out")
			}
			if slices.ContainsFunc(w.askedFor(), func(s string) bool { return strings.Contains(s, secret) }) {
				t.Error("the secret was looked up")
			}
		})
	}
}

func (w *world) askedFor() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

// name tries to look a name up.
func name(host string) func(*guest) error {
	return func(g *guest) error {
		if ip, code := g.lookup(host); !ip.IsValid() {
			return errors.New(code.String())
		}
		return nil
	}
}

// reach tries to connect to a name.
func reach(host string, port uint16) func(*guest) error {
	return func(g *guest) error { return closed(g.dial(host, port)) }
}

// reachIP tries to connect to an address.
func reachIP(ip string, port uint16) func(*guest) error {
	return func(g *guest) error { return closed(g.dialIP(ip, port)) }
}

func closed(c *gonet.TCPConn, err error) error {
	if err == nil {
		c.Close()
	}
	return err
}

// say connects to a name, which works, and says parts one after the other. It
// wants an answer after each of them but the last wanted ones.
func say(host string, port uint16, parts ...string) func(*guest) error {
	return func(g *guest) error {
		c := g.mustDial(host, port)
		defer c.Close()
		buf := make([]byte, 4096)
		for _, part := range parts {
			if _, err := c.Write([]byte(part)); err != nil {
				return err
			}
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, err := c.Read(buf); err != nil {
				return err
			}
		}
		return nil
	}
}

// datagram sends UDP and wants an answer.
func datagram(ip string, port uint16, text string) func(*guest) error {
	return func(g *guest) error {
		to := full(addrs(ip)[0], port)
		c, err := gonet.DialUDP(g.stack, nil, &to, ipv4.ProtocolNumber)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte(text)); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = c.Read(make([]byte, 10))
		return err
	}
}

// packet sends one raw packet, from outside of the guest's own stack.
func packet(b []byte) func(*guest) error {
	return func(g *guest) error {
		if _, err := g.file.Write(b); err != nil {
			g.t.Fatal(err)
		}
		return errNothing // the record says more than an answer that does not come
	}
}

// ip4 makes a packet.
func ip4(src, dst string, proto byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, proto
	s, d := addrs(src)[0].As4(), addrs(dst)[0].As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	b = append(b, payload...)
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	sum := 0
	for i := 0; i < 20; i += 2 {
		sum += int(b[i])<<8 | int(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	b[10], b[11] = byte(^sum>>8), byte(^sum)
	return b
}

// syn is a TCP segment that opens a connection.
func syn(port uint16) []byte {
	return []byte{0x99, 0x99, byte(port >> 8), byte(port), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0}
}

func with(b []byte, change func([]byte)) []byte {
	change(b)
	return b
}

func TestBypassByName(t *testing.T) {
	public := job.Network{Mode: job.NetworkPublic}
	a := allow("a.example", "*.wild.example")
	resolvesTo := func(texts ...string) func(*world) {
		return func(w *world) { w.names["trick.example"] = always(texts...) }
	}
	few := func(o *Options) { o.Budgets = Budgets{Names: 3, Queries: 5} }
	runBypasses(t, []bypass{
		{name: "mode none", try: name("a.example"), host: "a.example", reason: reasonNone},
		{name: "a name of another", network: a, try: name("b.example"), host: "b.example", reason: reasonNoName},
		{name: "the wildcard's own name", network: a, try: name("wild.example"), host: "wild.example", reason: reasonNoName},
		{name: "a name that ends like the wildcard", network: a, try: name("evil-wild.example"), host: "evil-wild.example", reason: reasonNoName},
		{name: "a name that begins like an allowed one", network: a, try: name("a.example.evil.test"), host: "a.example.evil.test", reason: reasonNoName},
		{name: "a name below an exact one", network: a, try: name("sub.a.example"), host: "sub.a.example", reason: reasonNoName},
		{name: "a secret in a name", network: a, try: name(secret + ".evil.test"), host: secret + ".evil.test", reason: reasonNoName},
		{name: "a secret in an allowed name", network: a, try: func(g *guest) error { _ = name(secret + ".wild.example")(g); return name("b.example")(g) }, host: "b.example", reason: reasonNoName},
		{name: "metadata by name, allow", network: a, try: name("metadata.google.internal"), host: "metadata.google.internal", reason: reasonNoName},
		{name: "metadata by name, public", network: public, world: func(w *world) { w.names["metadata.google.internal"] = always("169.254.169.254") },
			try: reach("metadata.google.internal", 80), host: "metadata.google.internal", port: 80, reason: "metadata service"},
		{name: "loopback as a number", network: public, try: name("2130706433"), host: "2130706433", reason: reasonBadName},
		{name: "loopback in octal", network: public, try: name("0177.0.0.1"), host: "0177.0.0.1", reason: reasonBadName},
		{name: "loopback in hex", network: public, try: name("0x7f000001"), host: "0x7f000001", reason: reasonBadName},
		{name: "a short form of loopback", network: public, try: name("127.1"), host: "127.1", reason: reasonBadName},
		{name: "localhost", network: public, try: name("localhost"), host: "localhost", reason: reasonLocalName},
		{name: "a name of the host's own network", network: public, try: name("db"), host: "db", reason: reasonLocalName},
		{name: "a CNAME to a private address", network: allow("trick.example"), world: resolvesTo("10.0.0.1"), try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "10.0.0.1: private network"},
		{name: "a private address in public mode, which the operator opens for allow", network: public, world: resolvesTo("10.0.0.1"), tune: func(o *Options) { o.AllowCIDRs = prefixes("10.0.0.0/8") },
			try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "private network"},
		{name: "a public address beside a private one", network: allow("trick.example"), world: resolvesTo("1.1.1.1", "10.0.0.1"), try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "private network"},
		{name: "a name of loopback", network: public, world: resolvesTo("127.0.0.1"), try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "loopback"},
		{name: "a name of this machine's own address", network: public, world: resolvesTo("9.9.9.9"), try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "this machine's own address"},
		{name: "an IPv4-mapped answer", network: public, world: resolvesTo("::ffff:10.0.0.1"), try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "private network"},
		{name: "a NAT64 answer", network: public, world: resolvesTo("64:ff9b::a00:1"), try: reach("trick.example", 443), host: "trick.example", port: 443, reason: "NAT64"},
		{name: "metadata by IPv6", network: public, world: resolvesTo("fd00:ec2::254"), try: reach("trick.example", 80), host: "trick.example", port: 80, reason: "metadata"},
		{name: "a name of a synthetic address", network: public, world: resolvesTo("198.18.0.2"), try: reach("trick.example", 80), host: "trick.example", port: 80, reason: "benchmarks"},
		{name: "a name that is not there", network: public, try: reach("nobody.example", 80), host: "nobody.example", port: 80, reason: "does not resolve"},
		{name: "rebinding", network: allow("trick.example"), world: func(w *world) {
			w.names["trick.example"] = append(always("1.1.1.1"), always("127.0.0.1")...)
		}, try: func(g *guest) error {
			if err := reach("trick.example", 443)(g); err != nil {
				g.t.Error(err)
			}
			return reach("trick.example", 443)(g)
		}, host: "trick.example", port: 443, reason: "127.0.0.1: loopback"},
		{name: "a port that is not open", network: a, try: reach("a.example", 22), host: "a.example", port: 22, reason: "its port is not open in the policy, which has 80, 443"},
		{name: "more names than there are addresses for", network: public, tune: few, try: func(g *guest) error {
			for _, n := range []string{"a", "b", "c", "d"} {
				if err := name(n + ".example")(g); err != nil {
					return err
				}
			}
			return nil
		}, host: "d.example", reason: "the budget of 3 names is spent"},
		{name: "more queries than the budget", network: a, tune: few, try: func(g *guest) error {
			for range 5 {
				_, _ = g.lookup("a.example")
			}
			return datagram(GatewayIP, 53, string(query(g.t, "a.example", 1)))(g)
		}, host: GatewayIP, port: 53, reason: "the budget of 5 DNS queries is spent"},
	})
}

func TestBypassByAddress(t *testing.T) {
	public := job.Network{Mode: job.NetworkPublic}
	a := allow("a.example", "8.8.8.0/24:443")
	runBypasses(t, []bypass{
		{name: "an address without a CIDR", network: a, try: reachIP("1.1.1.1", 443), host: "1.1.1.1", port: 443, reason: reasonNoCIDR},
		{name: "another port of a CIDR", network: a, try: reachIP("8.8.8.8", 853), host: "8.8.8.8", port: 853, reason: "its port is not open"},
		{name: "DNS over TLS by address", network: allow("a.example"), try: reachIP("8.8.8.8", 853), host: "8.8.8.8", port: 853, reason: reasonNoCIDR},
		{name: "DNS over HTTPS by address", network: allow("a.example"), try: reachIP("8.8.8.8", 443), host: "8.8.8.8", port: 443, reason: reasonNoCIDR},
		{name: "DNS over TCP to another server", network: allow("a.example"), try: reachIP("8.8.8.8", 53), host: "8.8.8.8", port: 53, reason: reasonNoCIDR},
		{name: "DNS over UDP to another server", network: public, try: datagram("8.8.8.8", 53, secret), host: "8.8.8.8", port: 53, reason: reasonUDP},
		{name: "DNS over TLS to the gateway", network: public, try: reachIP(GatewayIP, 853), host: GatewayIP, port: 853, reason: reasonGateway},
		{name: "the gateway's SSH", network: public, try: reachIP(GatewayIP, 22), host: GatewayIP, port: 22, reason: reasonGateway},
		{name: "metadata, allow", network: a, try: reachIP("169.254.169.254", 80), host: "169.254.169.254", port: 80, reason: reasonNoCIDR},
		{name: "metadata, public", network: public, try: reachIP("169.254.169.254", 80), host: "169.254.169.254", port: 80, reason: "metadata service"},
		{name: "metadata of another cloud", network: public, try: reachIP("100.100.100.200", 80), host: "100.100.100.200", port: 80, reason: "carrier-grade NAT"},
		{name: "10.0.0.0/8", network: public, try: reachIP("10.0.0.1", 80), host: "10.0.0.1", port: 80, reason: "private network"},
		{name: "the bridge of docker", network: public, try: reachIP("172.17.0.1", 80), host: "172.17.0.1", port: 80, reason: "private network"},
		{name: "192.168.0.0/16", network: public, try: reachIP("192.168.1.1", 80), host: "192.168.1.1", port: 80, reason: "private network"},
		{name: "link-local", network: public, try: reachIP("169.254.1.1", 80), host: "169.254.1.1", port: 80, reason: "link-local"},
		{name: "loopback", network: public, try: packet(ip4(GuestIP, "127.0.0.1", protoTCP, syn(8000))), host: "127.0.0.1", port: 8000, reason: reasonNowhere},
		{name: "multicast", network: public, try: datagram("224.0.0.251", 5353, secret), host: "224.0.0.251", port: 5353, reason: reasonNowhere},
		{name: "broadcast", network: public, try: packet(ip4(GuestIP, "255.255.255.255", protoUDP, syn(67))), host: "255.255.255.255", port: 67, reason: reasonNowhere},
		{name: "this machine's own address", network: public, try: reachIP("9.9.9.9", 443), host: "9.9.9.9", port: 443, reason: "this machine's own address"},
		{name: "a reserved address", network: public, try: reachIP("240.0.0.1", 443), host: "240.0.0.1", port: 443, reason: "reserved"},
		{name: "a synthetic address that nobody asked for", network: public, try: reachIP("198.18.1.77", 443), host: "198.18.1.77", port: 443, reason: reasonUnassigned},
		{name: "an address beside the plan", network: public, try: reachIP("198.18.0.77", 443), host: "198.18.0.77", port: 443, reason: reasonUnassigned},
		{name: "QUIC", network: allow("a.example"), try: func(g *guest) error {
			ip, _ := g.lookup("a.example")
			return datagram(ip.String(), 443, secret)(g)
		}, host: "a.example", port: 443, reason: reasonUDP},
		{name: "NTP", network: public, try: datagram("1.1.1.1", 123, secret), host: "1.1.1.1", port: 123, reason: reasonUDP},
		{name: "ICMP echo", network: public, try: packet(ip4(GuestIP, "1.1.1.1", protoICMP, append([]byte{8, 0, 0, 0, 0, 0, 0, 0}, secret...))), host: "1.1.1.1", reason: reasonICMP},
		{name: "SCTP", network: public, try: packet(ip4(GuestIP, "1.1.1.1", 132, make([]byte, 40))), host: "1.1.1.1", reason: reasonProtocol},
		{name: "IPv4 in IPv4", network: public, try: packet(ip4(GuestIP, "1.1.1.1", 4, ip4(GuestIP, "10.0.0.1", protoTCP, syn(80)))), host: "1.1.1.1", reason: reasonProtocol},
		{name: "IPv6", network: public, try: packet(append([]byte{0x60, 0, 0, 0, 0, 0, 58, 64}, append(addrs("2606:4700::1")[0].AsSlice(), addrs("2606:4700::1111")[0].AsSlice()...)...)), host: "2606:4700::1111", reason: reasonIPv6},
		{name: "a fragment", network: public, try: packet(with(ip4(GuestIP, "1.1.1.1", protoTCP, syn(80)), func(b []byte) { b[6] = 0x20 })), host: "1.1.1.1", reason: reasonFragment},
		{name: "a later fragment", network: public, try: packet(with(ip4(GuestIP, "1.1.1.1", protoTCP, syn(80)), func(b []byte) { b[7] = 1 })), host: "1.1.1.1", reason: reasonFragment},
		{name: "source routing", network: public, try: packet(with(ip4(GuestIP, "1.1.1.1", protoTCP, append([]byte{131, 7, 4, 10, 0, 0, 1, 0}, syn(80)...)), func(b []byte) { b[0] = 0x47 })), host: "1.1.1.1", reason: reasonFragment},
		{name: "somebody else's source", network: public, try: packet(ip4("10.0.0.9", "1.1.1.1", protoTCP, syn(80))), host: "1.1.1.1", reason: reasonSpoofed},
		{name: "the gateway's source", network: public, try: packet(ip4(GatewayIP, GuestIP, protoUDP, syn(53))), host: GuestIP, reason: reasonSpoofed},
		{name: "a packet that is too short", network: public, try: packet([]byte{0x45, 0, 0}), reason: reasonMalformed},
		{name: "a packet of another length than it says", network: public, try: packet(with(ip4(GuestIP, "1.1.1.1", protoTCP, syn(80)), func(b []byte) { b[3] = 200 })), reason: reasonMalformed},
		{name: "a TCP header that is too short", network: public, try: packet(ip4(GuestIP, "1.1.1.1", protoTCP, make([]byte, 9))), host: "1.1.1.1", reason: reasonMalformed},
		{name: "no version of IP", network: public, try: packet(make([]byte, 64)), reason: reasonMalformed},
	})
}
