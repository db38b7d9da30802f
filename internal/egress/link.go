package egress

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/takovm/tako/internal/job"
)

const (
	nic = 1

	// dialling is how many connections are being made at once; what comes
	// beyond is not answered, and the guest's kernel tries again.
	dialling = 64

	// bufferSize is the most that one connection holds in the stack in each
	// direction. With Budgets.Concurrent it bounds the memory of a link, and
	// several packets fit into it.
	bufferSize = 512 << 10
)

// LinkOptions configure a Link. There is nothing to choose yet: what a sandbox
// may do is in the policy, which comes later.
type LinkOptions struct{}

// Link is the network of one sandbox.
type Link struct {
	wire   *wire
	stack  *stack.Stack
	policy atomic.Pointer[Policy]
	names  names
	denied ledger
	meter  meter

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	mu     sync.Mutex
	closed bool
	flows  sync.WaitGroup // what serves the guest; not added to once closed
}

// NewLink makes a link and the descriptor that the sandbox gets as its network
// device: a SOCK_SEQPACKET socket on which a message is an IPv4 packet, without
// an Ethernet header, of up to MTU bytes. The caller closes guest once the
// sandbox has its copy. Until Attach, everything is refused.
func NewLink(LinkOptions) (*Link, *os.File, error) {
	sock, guest, err := socketPair()
	if err != nil {
		return nil, nil, job.Errorf(job.KindUnavailable, "the network of a sandbox: %w", err)
	}
	l := &Link{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.wire = &wire{sock: sock, filter: l.accept}
	if err := l.start(); err != nil {
		l.Close()
		guest.Close()
		return nil, nil, job.Errorf(job.KindInternal, "the network stack of a sandbox: %s", err)
	}
	return l, guest, nil
}

// start makes the stack, which has every address.
func (l *Link) start() error {
	l.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	if err := tuneTCP(l.stack); err != nil {
		return tcpError(err)
	}
	forwarder := tcp.NewForwarder(l.stack, bufferSize, dialling, l.connect)
	l.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, forwarder.HandlePacket)
	l.stack.SetTransportProtocolHandler(udp.ProtocolNumber, l.strayUDP)
	gateway := tcpip.AddrFrom4(gatewayAddr().As4())
	steps := []func() tcpip.Error{
		func() tcpip.Error { return l.stack.CreateNIC(nic, l.wire) },
		func() tcpip.Error { return l.stack.SetPromiscuousMode(nic, true) },
		func() tcpip.Error { return l.stack.SetSpoofing(nic, true) },
		func() tcpip.Error {
			return l.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber,
				AddressWithPrefix: tcpip.AddressWithPrefix{Address: gateway, PrefixLen: PrefixLen}}, stack.AddressProperties{})
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return tcpError(err)
		}
	}
	l.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	dns, err := gonet.DialUDP(l.stack, &tcpip.FullAddress{NIC: nic, Addr: gateway, Port: dnsPort}, nil, ipv4.ProtocolNumber)
	if err != nil {
		return err
	}
	l.flows.Go(func() { l.serveUDP(dns) })
	return nil
}

// tuneTCP bounds what a connection holds.
func tuneTCP(s *stack.Stack) tcpip.Error {
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: bufferSize, Max: bufferSize}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: bufferSize, Max: bufferSize}
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	sack := tcpip.TCPSACKEnabled(true)
	// What is over is not kept: nobody else will have the guest's ports.
	wait := tcpip.TCPTimeWaitTimeoutOption(time.Second)
	linger := tcpip.TCPLingerTimeoutOption(5 * time.Second)
	for _, option := range []tcpip.SettableTransportProtocolOption{&receive, &send, &moderate, &sack, &wait, &linger} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return err
		}
	}
	return nil
}

// Attach gives the link its policy, once.
func (l *Link) Attach(p *Policy) error {
	if p == nil || !l.policy.CompareAndSwap(nil, p) {
		return job.Errorf(job.KindInternal, "a network policy is attached once")
	}
	return nil
}

// Report answers what went through the link and what did not, so far.
func (l *Link) Report() Report {
	return Report{BytesIn: l.meter.in.Load(), BytesOut: l.meter.out.Load(), Denied: l.denied.list()}
}

// Close ends all connections and goroutines of the link, and waits for them.
// It may be called again.
func (l *Link) Close() error {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		return nil
	}
	l.cancel()
	// First the packets, then what they started: a connection that is about
	// to be accepted is not, and the stack's own lock is free.
	l.wire.stop()
	if l.stack != nil {
		l.endFlows()
		l.stack.Wait()
	}
	return nil
}

// endFlows aborts connections until nothing serves the guest any more. One that
// was being accepted meanwhile would wait for a guest that is gone.
func (l *Link) endFlows() {
	l.stack.Close()
	ended := make(chan struct{})
	go func() { l.flows.Wait(); close(ended) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			for _, ep := range l.stack.RegisteredEndpoints() {
				ep.Abort()
			}
		}
	}
}

// begin counts something that serves the guest; false when the link is closed.
func (l *Link) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.flows.Add(1)
	return true
}

// strayUDP is called for UDP that is not for our DNS. The stack answers it with
// an ICMP error, so that programs do not wait: QUIC falls back to TCP at once.
func (l *Link) strayUDP(id stack.TransportEndpointID, _ *stack.PacketBuffer) bool {
	l.denied.add(l.called(fromStack(id.LocalAddress)), id.LocalPort, reasonUDP)
	return false
}

func fromStack(a tcpip.Address) netip.Addr {
	ip, _ := netip.AddrFromSlice(a.AsSlice())
	return ip
}

func tcpError(err tcpip.Error) error { return errors.New(err.String()) }
