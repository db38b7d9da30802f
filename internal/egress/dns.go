package egress

import (
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/takovm/tako/internal/netguard"
)

const (
	maxQuery = 1232 // bytes of a query; what resolvers send fits into a tenth
	nameTTL  = 60   // seconds; the address holds for as long as the sandbox
)

// resolveFunc answers the address of a canonical name, or why there is none
// and how to say that.
type resolveFunc func(host string) (netip.Addr, dnsmessage.RCode)

// answerQuery answers one DNS message; nothing if it is none that can be
// answered. It never panics, whatever the message is.
func answerQuery(query []byte, resolve resolveFunc) ([]byte, bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response || len(query) > maxQuery {
		return nil, false
	}
	reply := dnsmessage.Header{ID: header.ID, Response: true, OpCode: header.OpCode, RecursionDesired: header.RecursionDesired, RecursionAvailable: true}
	if header.OpCode != 0 {
		reply.RCode = dnsmessage.RCodeNotImplemented
		return build(reply, nil, netip.Addr{})
	}
	question, err := parser.Question()
	if err != nil {
		reply.RCode = dnsmessage.RCodeFormatError
		reply, ok := build(reply, nil, netip.Addr{})
		return reply, ok
	}
	if _, err = parser.Question(); err != dnsmessage.ErrSectionDone {
		reply.RCode = dnsmessage.RCodeFormatError
		return build(reply, nil, netip.Addr{})
	}
	if question.Class != dnsmessage.ClassINET {
		reply.RCode = dnsmessage.RCodeRefused
		return build(reply, &question, netip.Addr{})
	}
	addr, code := resolve(canonical(question.Name.String()))
	reply.RCode = code
	if question.Type != dnsmessage.TypeA {
		addr = netip.Addr{} // the name is there, and has no such record
	}
	return build(reply, &question, addr)
}

// build writes an answer, with an address if it is valid.
func build(h dnsmessage.Header, question *dnsmessage.Question, addr netip.Addr) ([]byte, bool) {
	b := dnsmessage.NewBuilder(nil, h)
	b.EnableCompression()
	err := b.StartQuestions()
	if err == nil && question != nil {
		err = b.Question(*question)
	}
	if err == nil && question != nil && addr.IsValid() {
		if err = b.StartAnswers(); err == nil {
			err = b.AResource(dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: nameTTL},
				dnsmessage.AResource{A: addr.As4()})
		}
	}
	if err != nil {
		return nil, false
	}
	out, err := b.Finish()
	return out, err == nil
}

// resolve answers a name of the guest. Names that the policy does not have are
// said not to exist: every resolver believes that at once, where it would try
// another server, or again, after "refused".
func (l *Link) resolve(p *Policy, host string) (netip.Addr, dnsmessage.RCode) {
	reason := reasonNotAttached
	if p != nil {
		reason = ""
		if netguard.CheckName(host) != nil {
			host, reason = printable(host), reasonBadName
		} else {
			reason = p.admitName(host)
		}
	}
	if reason != "" {
		l.denied.add(host, 0, reason)
		return netip.Addr{}, dnsmessage.RCodeNameError
	}
	addr, ok := l.names.addr(host, p.budgets.Names)
	if !ok {
		l.denied.add(host, 0, reasonNames(p.budgets))
		return netip.Addr{}, dnsmessage.RCodeRefused
	}
	return addr, dnsmessage.RCodeSuccess
}

// printable is a text of the guest's that is fit for a record.
func printable(s string) string {
	b := []byte(cut(s, maxHost))
	for i, c := range b {
		if c < 0x21 || c > 0x7e {
			b[i] = '?'
		}
	}
	return string(b)
}
