package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/takovm/tako/internal/job"
)

// The link driver of the guest leaves goroutines behind; we have none of it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("gvisor.dev/gvisor/pkg/tcpip/link/fdbased.(*processor).start"))
}

// guest is the other end of a link, with the stack and the link driver that
// the Sentry has.
type guest struct {
	t     testing.TB
	link  *Link
	file  *os.File
	stack *stack.Stack
}

// world is what a test's sandbox could reach: names, what they resolve to, and
// the listeners that stand for addresses.
type world struct {
	mu      sync.Mutex
	names   map[string][][]netip.Addr // each look-up takes the next list, the last one stays
	servers map[string]string         // "address:port" to that of a listener on loopback
	asked   []string
	dialled []string
}

func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, host)
	lists := w.names[host]
	if len(lists) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(lists) > 1 {
		w.names[host] = lists[1:]
	}
	return lists[0], nil
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, address)
	to, ok := w.servers[address]
	w.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("dial %s: %w", address, unix.ECONNREFUSED)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

func own() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("9.9.9.9")}, nil }

func (w *world) options() Options {
	return Options{Resolver: w, Dial: w.dial, Own: own}
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func always(texts ...string) [][]netip.Addr { return [][]netip.Addr{addrs(texts...)} }

// newWorld has one public name, a.example, and serves it and other addresses
// with what listen says.
func newWorld() *world {
	return &world{servers: map[string]string{}, names: map[string][][]netip.Addr{
		"a.example": always("1.1.1.1"), "b.example": always("1.1.1.2"), "sub.a.example": always("1.1.1.3"),
	}}
}

// listen serves address, as the guest's connections are made to it, with
// handle, which gets each connection and need not close it.
func (w *world) listen(t testing.TB, address string, handle func(*net.TCPConn)) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.servers[address] = l.Addr().String()
	w.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); handle(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
}

// newGuest makes a link with a policy and a guest on its other end.
func newGuest(t testing.TB, n job.Network, o Options) *guest {
	t.Helper()
	p, err := Compile(n, o)
	if err != nil {
		t.Fatal(err)
	}
	g := bareGuest(t)
	if err := g.link.Attach(p); err != nil {
		t.Fatal(err)
	}
	return g
}

func bareGuest(t testing.TB) *guest {
	t.Helper()
	link, file, err := NewLink(LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, link: link, file: file}
	t.Cleanup(func() { link.Close() })
	g.boot()
	return g
}

// boot brings the guest's stack up.
func (g *guest) boot() {
	g.t.Helper()
	ep, err := fdbased.New(&fdbased.Options{FDs: []int{int(g.file.Fd())}, MTU: MTU, PacketDispatchMode: fdbased.RecvMMsg, RXChecksumOffload: true})
	if err != nil {
		g.t.Fatal(err)
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	g.stack = s
	g.t.Cleanup(func() {
		s.Close()
		s.RemoveNIC(nic)
		ep.Wait()
		s.Wait()
		g.file.Close()
	})
	if err := s.CreateNIC(nic, ep); err != nil {
		g.t.Fatal(err)
	}
	address := tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(guestAddr().As4()), PrefixLen: PrefixLen}
	if err := s.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: address}, stack.AddressProperties{}); err != nil {
		g.t.Fatal(err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, Gateway: tcpip.AddrFrom4(gatewayAddr().As4()), NIC: nic}})
}

func full(ip netip.Addr, port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(ip.As4()), Port: port}
}

// lookup asks the gateway for the address of a name.
func (g *guest) lookup(name string) (netip.Addr, dnsmessage.RCode) {
	g.t.Helper()
	m := g.exchange(query(g.t, name, dnsmessage.TypeA))
	if len(m.Answers) == 0 {
		return netip.Addr{}, m.RCode
	}
	return netip.AddrFrom4(m.Answers[0].Body.(*dnsmessage.AResource).A), m.RCode
}

func query(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		t.Fatal(err)
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: kind, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exchange sends one query over UDP and reads the answer.
func (g *guest) exchange(q []byte) dnsmessage.Message {
	g.t.Helper()
	to := full(gatewayAddr(), dnsPort)
	c, err := gonet.DialUDP(g.stack, nil, &to, ipv4.ProtocolNumber)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(q); err != nil {
		g.t.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		g.t.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(buf[:n]); err != nil {
		g.t.Fatal(err)
	}
	return m
}

// dialIP connects to an address.
func (g *guest) dialIP(ip string, port uint16) (*gonet.TCPConn, error) {
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	c, err := gonet.DialContextTCP(ctx, g.stack, full(netip.MustParseAddr(ip), port), ipv4.ProtocolNumber)
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return c, err
}

// dial looks a name up and connects to it.
func (g *guest) dial(name string, port uint16) (*gonet.TCPConn, error) {
	g.t.Helper()
	ip, code := g.lookup(name)
	if !ip.IsValid() {
		return nil, fmt.Errorf("%s: %v", name, code)
	}
	return g.dialIP(ip.String(), port)
}

func (g *guest) mustDial(name string, port uint16) *gonet.TCPConn {
	g.t.Helper()
	c, err := g.dial(name, port)
	if err != nil {
		g.t.Fatalf("%v; denied: %+v", err, g.link.Report().Denied)
	}
	return c
}

// wantDenied waits until the record has a refusal.
func (g *guest) wantDenied(host string, port uint16, reason string) {
	g.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for {
		list := g.link.Report().Denied
		if slices.ContainsFunc(list, func(d Denied) bool {
			return d.Host == host && d.Port == port && strings.Contains(d.Reason, reason)
		}) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			g.t.Fatalf("denied: %+v; want %s:%d: %s", list, host, port, reason)
		}
	}
}

func allow(patterns ...string) job.Network {
	return job.Network{Mode: job.NetworkAllow, Allow: patterns}
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}
