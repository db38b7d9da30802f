package egress

import (
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// maxTCPQueries is how many queries one connection may ask.
const maxTCPQueries = 100

// answerDNS answers one message within the budget of queries.
func (l *Link) answerDNS(query []byte) ([]byte, bool) {
	p := l.policy.Load()
	budgets := Budgets{}.withDefaults()
	if p != nil {
		budgets = p.budgets
	}
	if l.meter.queries.Add(1) > int64(budgets.Queries) {
		l.meter.queries.Add(-1)
		l.denied.add(GatewayIP, dnsPort, reasonQueries(budgets))
		return nil, false
	}
	reply, ok := answerQuery(query, func(host string) (netip.Addr, dnsmessage.RCode) { return l.resolve(p, host) })
	if !ok {
		l.denied.add(GatewayIP, dnsPort, reasonDNSBad)
	}
	return reply, ok
}

// serveUDP answers queries until the link is closed.
func (l *Link) serveUDP(c *gonet.UDPConn) {
	stop := context.AfterFunc(l.ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer c.Close()
	buf := make([]byte, maxQuery+1)
	for {
		n, from, err := c.ReadFrom(buf)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			continue // an ICMP error of the guest's; the socket goes on
		}
		if reply, ok := l.answerDNS(buf[:n]); ok {
			_, _ = c.WriteTo(reply, from)
		}
	}
}

// serveTCP answers the queries of one connection.
func (l *Link) serveTCP(c *guestConn, p *Policy) {
	stop := context.AfterFunc(l.ctx, c.reset)
	defer stop()
	l.askedOverTCP(c, p)
	late := time.AfterFunc(p.timeouts.Head, c.reset)
	defer late.Stop()
	c.finish(func() {})
}

func (l *Link) askedOverTCP(c *guestConn, p *Policy) {
	buf := make([]byte, maxQuery)
	for range maxTCPQueries {
		_ = c.SetDeadline(time.Now().Add(p.timeouts.Head))
		if _, err := io.ReadFull(c, buf[:2]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(buf))
		if n > maxQuery {
			l.denied.add(GatewayIP, dnsPort, reasonDNSBad)
			break
		}
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			return
		}
		reply, ok := l.answerDNS(buf[:n])
		if !ok {
			break
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}
