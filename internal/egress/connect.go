package egress

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// connect serves one SYN of the guest. What is refused is answered with a
// reset, which programs see as "connection refused", at once.
func (l *Link) connect(r *tcp.ForwarderRequest) {
	if !l.begin() {
		r.Complete(false)
		return
	}
	defer l.flows.Done()
	id := r.ID()
	to, port := fromStack(id.LocalAddress), id.LocalPort
	p := l.policy.Load()
	host, reason := l.admit(p, to, port)
	if reason == "" {
		if reason = l.meter.enter(p.budgets); reason == "" {
			defer l.meter.leave()
		}
	}
	if reason != "" {
		l.denied.add(host, port, reason)
		r.Complete(true)
		return
	}
	if to == gatewayAddr() {
		if guest := l.answer(r); guest != nil {
			l.serveTCP(guest, p)
		}
		return
	}
	up, err := p.dial(l.ctx, host, port)
	if err != nil {
		if l.ctx.Err() == nil {
			l.denied.add(host, port, refusal(err))
		}
		r.Complete(true)
		return
	}
	if guest := l.answer(r); guest != nil {
		f := &flow{link: l, policy: p, host: host, port: port, guest: guest, up: up}
		f.serve()
	} else {
		up.Close()
	}
}

// admit finds what the guest means by an address, and answers why it may not
// be dialled, or nothing.
func (l *Link) admit(p *Policy, to netip.Addr, port uint16) (host, reason string) {
	host = to.String()
	switch {
	case p == nil:
		return l.called(to), reasonNotAttached
	case to == gatewayAddr() && port == dnsPort:
		return host, ""
	case to == gatewayAddr():
		return host, reasonGateway
	case Prefix().Contains(to):
		if host = l.names.host(to); host == "" {
			return to.String(), reasonUnassigned
		}
	}
	return host, p.admit(host, port)
}

// dial resolves host, judges what it resolves to, and connects.
func (p *Policy) dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	return p.guard.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
}

// answer completes the handshake with the guest; nil if the guest does not.
func (l *Link) answer(r *tcp.ForwarderRequest) *guestConn {
	queue := new(waiter.Queue)
	ep, err := r.CreateEndpoint(queue)
	if err != nil {
		r.Complete(true)
		return nil
	}
	r.Complete(false)
	ep.SocketOptions().SetDelayOption(false) // what the server sent is passed on at once
	return &guestConn{TCPConn: gonet.NewTCPConn(queue, ep), ep: ep}
}
