package egress

import (
	"io"
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/takovm/tako/internal/job"
)

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

func TestPlainTCP(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:5432", echo)
	g := newGuest(t, allow("a.example:5432"), w.options())
	c := g.mustDial("a.example", 5432)
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	if r := g.link.Report(); r.BytesIn != 5 || r.BytesOut != 5 || len(r.Denied) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestServerFirst(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:22", func(c *net.TCPConn) { _, _ = io.WriteString(c, "SSH-2.0-test\r\n") })
	g := newGuest(t, allow("a.example:22"), w.options())
	c := g.mustDial("a.example", 22)
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "SSH-2.0-test\r\n" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	w := newWorld()
	g := newGuest(t, allow("a.example", "*.wild.example"), w.options())
	first, code := g.lookup("A.Example")
	if code != dnsmessage.RCodeSuccess || first.String() != "198.18.1.0" {
		t.Fatalf("%v, %v", first, code)
	}
	if again, _ := g.lookup("a.example."); again != first {
		t.Errorf("the same name is %v and %v", first, again)
	}
	if other, _ := g.lookup("deep.in.wild.example"); other == first || !other.IsValid() {
		t.Errorf("another name is %v", other)
	}
	for _, name := range []string{"b.example", "wild.example", "evil-wild.example", "xa.example", "a.example.evil.example"} {
		if ip, code := g.lookup(name); ip.IsValid() || code != dnsmessage.RCodeNameError {
			t.Errorf("%s is %v, %v", name, ip, code)
		}
		g.wantDenied(name, 0, reasonNoName)
	}
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeAAAA, 64, 65, dnsmessage.TypeTXT, dnsmessage.TypeMX, dnsmessage.TypeCNAME, dnsmessage.TypeALL} {
		m := g.exchange(query(t, "a.example", kind))
		if m.RCode != dnsmessage.RCodeSuccess || len(m.Answers)+len(m.Additionals)+len(m.Authorities) != 0 {
			t.Errorf("type %v: %v", kind, m)
		}
	}
	if len(w.asked) != 0 {
		t.Errorf("asked upstream for %v", w.asked)
	}
}

func TestBeforeAttach(t *testing.T) {
	g := bareGuest(t)
	if ip, code := g.lookup("a.example"); ip.IsValid() || code != dnsmessage.RCodeNameError {
		t.Errorf("%v, %v", ip, code)
	}
	if c, err := g.dialIP("1.1.1.1", 443); err == nil {
		c.Close()
		t.Error("connected")
	}
	g.wantDenied("a.example", 0, reasonNotAttached)
	g.wantDenied("1.1.1.1", 443, reasonNotAttached)
	p, err := Compile(job.Network{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if g.link.Attach(p) != nil || g.link.Attach(p) == nil {
		t.Error("a policy is attached once")
	}
	if c, err := g.dialIP("1.1.1.1", 443); err == nil {
		c.Close()
		t.Error("connected")
	}
	g.wantDenied("1.1.1.1", 443, reasonNone)
}
