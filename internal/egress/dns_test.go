package egress

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestDNSOverTCP(t *testing.T) {
	g := newGuest(t, allow("a.example"), newWorld().options())
	c, err := g.dialIP(GatewayIP, dnsPort)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		q := query(t, "a.example", dnsmessage.TypeA)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
			t.Fatal(err)
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || len(m.Answers) != 1 || m.ID != 7 || !m.Response {
			t.Errorf("%v, %v", m, err)
		}
	}
}

// header is that of a query with one question.
func dnsHeader(questions byte) []byte { return []byte{0, 7, 1, 0, 0, questions, 0, 0, 0, 0, 0, 0} }

func TestBypassOfDNS(t *testing.T) {
	a := allow("a.example")
	raw := func(b []byte) func(*guest) error { return datagram(GatewayIP, 53, string(b)) }
	tcp := func(b []byte) func(*guest) error {
		return func(g *guest) error {
			c, err := g.dialIP(GatewayIP, 53)
			if err != nil {
				return err
			}
			defer c.Close()
			_, _ = c.Write(b)
			_, err = c.Read(make([]byte, 1))
			return err
		}
	}
	long := append(dnsHeader(1), bytes.Repeat([]byte{63, 'a'}, 800)...)
	runBypasses(t, []bypass{
		{name: "a query that is too long", network: a, try: raw(long), host: GatewayIP, port: 53, reason: reasonDNSBad},
		{name: "a query that is too long, over TCP", network: a, try: tcp([]byte{0xff, 0xff, 1, 2, 3}), host: GatewayIP, port: 53, reason: reasonDNSBad},
		{name: "no query", network: a, try: raw([]byte("hello")), host: GatewayIP, port: 53, reason: reasonDNSBad},
		{name: "an answer", network: a, try: raw([]byte{0, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}), host: GatewayIP, port: 53, reason: reasonDNSBad},
		{name: "a name with a NUL", network: a, try: func(g *guest) error {
			m := g.exchange(append(dnsHeader(1), 3, 'a', 0, 'b', 0, 0, 1, 0, 1))
			if m.RCode != dnsmessage.RCodeSuccess {
				return errNothing
			}
			return nil
		}, host: "a?b", reason: reasonBadName},
	})
}

func TestOddQueries(t *testing.T) {
	known := func(string) (netip.Addr, dnsmessage.RCode) { return nameAddr(0), dnsmessage.RCodeSuccess }
	one := query(t, "a.example", dnsmessage.TypeA)
	for name, tc := range map[string]struct {
		query []byte
		code  dnsmessage.RCode
	}{
		"a name that points at itself": {append(dnsHeader(1), 0xc0, 12, 0, 1, 0, 1), dnsmessage.RCodeFormatError},
		"a name of two that point":     {append(dnsHeader(1), 0xc0, 14, 0xc0, 12, 0, 1, 0, 1), dnsmessage.RCodeFormatError},
		"a name that points ahead":     {append(dnsHeader(1), 0xc0, 200, 0, 1, 0, 1), dnsmessage.RCodeFormatError},
		"no question":                  {dnsHeader(0), dnsmessage.RCodeFormatError},
		"two questions":                {append(with(bytes.Clone(one), func(b []byte) { b[5] = 2 }), one[12:]...), dnsmessage.RCodeFormatError},
		"more questions than there":    {with(bytes.Clone(one), func(b []byte) { b[4], b[5] = 0xff, 0xff }), dnsmessage.RCodeFormatError},
		"an update":                    {with(bytes.Clone(one), func(b []byte) { b[2] = 5 << 3 }), dnsmessage.RCodeNotImplemented},
		"of another class":             {with(bytes.Clone(one), func(b []byte) { b[len(b)-1] = 3 }), dnsmessage.RCodeRefused},
	} {
		out, ok := answerQuery(tc.query, known)
		var m dnsmessage.Message
		if err := m.Unpack(out); !ok || err != nil || m.RCode != tc.code || len(m.Answers) > 0 || m.ID != 7 {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// A query is answered with something that can be read, or not at all.
func FuzzDNS(f *testing.F) {
	f.Add(query(f, "a.example", dnsmessage.TypeA))
	f.Add(query(f, "a.example", dnsmessage.Type(65)))
	f.Add(append(dnsHeader(1), 0xc0, 12, 0, 1, 0, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, ok := answerQuery(b, func(string) (netip.Addr, dnsmessage.RCode) { return nameAddr(1), dnsmessage.RCodeSuccess })
		if !ok {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil || !m.Response || len(m.Questions) > 1 || len(out) > 512 {
			t.Errorf("%x is answered with %x: %v", b, out, err)
		}
	})
}
