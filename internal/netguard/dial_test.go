package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// names is a resolver of its own; each look-up of a name answers the next of
// its lists, the last one again and again.
type names struct {
	answers map[string][][]netip.Addr
	asked   []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked = append(n.asked, host)
	lists, ok := n.answers[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(lists) > 1 {
		n.answers[host] = lists[1:]
	}
	return lists[0], nil
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func one(texts ...string) [][]netip.Addr { return [][]netip.Addr{addrs(texts...)} }

// line records what is dialled; addresses in dead do not answer.
type line struct {
	dialled []string
	dead    []string
}

var errDead = errors.New("connection refused")

func (l *line) dial(_ context.Context, _, address string) (net.Conn, error) {
	l.dialled = append(l.dialled, address)
	if slices.Contains(l.dead, address) {
		return nil, errDead
	}
	here, there := net.Pipe()
	there.Close()
	return here, nil
}

func TestDialContext(t *testing.T) {
	for _, tc := range []struct {
		name, network, address string
		dialled                []string
		problem                string
	}{
		{"a name", "tcp", "good.example:443", []string{"1.1.1.1:443"}, ""},
		{"a name with a dot", "tcp", "good.example.:443", []string{"1.1.1.1:443"}, ""},
		{"an address", "tcp", "8.8.8.8:80", []string{"8.8.8.8:80"}, ""},
		{"an IPv6 address", "tcp6", "[2606:4700::1111]:443", []string{"[2606:4700::1111]:443"}, ""},
		{"a mapped address is dialled as IPv4", "tcp", "[::ffff:8.8.8.8]:80", []string{"8.8.8.8:80"}, ""},
		{"a mapped answer is dialled as IPv4", "tcp4", "mapped.example:80", []string{"8.8.8.8:80"}, ""},
		{"the second address when the first is dead", "tcp", "half.example:443", []string{"1.1.1.2:443", "1.1.1.1:443"}, ""},
		{"all dead", "tcp", "dead.example:443", []string{"1.1.1.2:443"}, "connecting to dead.example: connection refused"},
		{"one family only", "tcp4", "both.example:443", []string{"1.1.1.1:443"}, ""},
		{"none of that family", "tcp6", "good.example:443", nil, "no address that tcp6 can be used with"},

		{"a private address", "tcp", "10.0.0.1:443", nil, "10.0.0.1 may not be dialled: private network"},
		{"a mapped private address", "tcp", "[::ffff:10.0.0.1]:443", nil, "private network"},
		{"a name for a private address", "tcp", "inside.example:443", nil, "10.0.0.1 (an address of inside.example) may not be dialled: private"},
		{"one bad address spoils the name", "tcp", "mixed.example:443", nil, "127.0.0.1 (an address of mixed.example)"},
		{"a bad one of the other family", "tcp4", "mixed6.example:443", nil, "::1 (an address of mixed6.example)"},
		{"a zone", "tcp", "[fe80::1%25eth0]:443", nil, "fe80::1%25eth0"},
		{"a port", "tcp", "good.example:25", nil, "port 25 of good.example may not be dialled"},
		{"no port", "tcp", "good.example", nil, "missing port"},
		{"port 0", "tcp", "good.example:0", nil, "port 0"},
		{"a port's name", "tcp", "good.example:https", nil, "not a number"},
		{"a port too large", "tcp", "good.example:65979", nil, "not a number"},
		{"a socket", "unix", "/run/tako.sock:443", nil, "not a TCP network"},
		{"datagrams", "udp", "good.example:443", nil, "not a TCP network"},
		{"an unknown name", "tcp", "nobody.example:443", nil, "resolving nobody.example"},
		{"a name without addresses", "tcp", "empty.example:443", nil, "it has no address"},
		{"a name with too many", "tcp", "many.example:443", nil, "65 addresses"},
		{"an answer that is none", "tcp", "broken.example:443", nil, "not an address"},
		{"a short form of loopback", "tcp", "127.1:443", nil, "neither a host name nor an address"},
		{"loopback as a number", "tcp", "2130706433:443", nil, "neither"},
		{"loopback in hex", "tcp", "0x7f000001:443", nil, "neither"},
		{"loopback in octal", "tcp", "0177.0.0.1:443", nil, "neither"},
		{"with a dot behind", "tcp", "127.0.0.1.:443", nil, "neither"},
		{"no host", "tcp", ":443", nil, "not a host name"},
		{"a space", "tcp", "a b:443", nil, "not a host name"},
		{"another script", "tcp", "1\u0662.example:443", nil, "not a host name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &line{dead: []string{"1.1.1.2:443"}}
			g := newGuard(t, Options{Dial: l.dial, Resolver: &names{answers: map[string][][]netip.Addr{
				"good.example": one("1.1.1.1"), "good.example.": one("1.1.1.1"),
				"half.example": one("1.1.1.2", "1.1.1.1"), "dead.example": one("1.1.1.2"),
				"mapped.example": one("::ffff:8.8.8.8"),
				"both.example":   one("2606:4700::1111", "1.1.1.1"),
				"inside.example": one("10.0.0.1"), "mixed.example": one("1.1.1.1", "127.0.0.1"),
				"mixed6.example": one("1.1.1.1", "::1"), "empty.example": {{}},
				"many.example":   {slices.Repeat(addrs("1.1.1.1"), 65)},
				"broken.example": {{netip.Addr{}}},
			}}})
			conn, err := g.DialContext(t.Context(), tc.network, tc.address)
			if err == nil {
				conn.Close()
			}
			if !slices.Equal(l.dialled, tc.dialled) {
				t.Errorf("dialled %v, want %v", l.dialled, tc.dialled)
			}
			if (tc.problem == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.problem) {
				t.Errorf("error: %v; want: %s", err, tc.problem)
			}
		})
	}
}

// A name that is public when it is judged and private a moment later: nobody
// asks a second time.
func TestRebinding(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{
		"rebind.example": {addrs("1.1.1.1"), addrs("127.0.0.1")},
	}}
	l := &line{}
	g := newGuard(t, Options{Dial: l.dial, Resolver: n})
	conn, err := g.DialContext(t.Context(), "tcp", "rebind.example:443")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if len(n.asked) != 1 || !slices.Equal(l.dialled, []string{"1.1.1.1:443"}) {
		t.Errorf("asked %v, dialled %v", n.asked, l.dialled)
	}
	if _, err = g.DialContext(t.Context(), "tcp", "rebind.example:443"); err == nil {
		t.Error("the second answer was not judged")
	}
}

func TestErrorsCanBeTold(t *testing.T) {
	g := newGuard(t, Options{Dial: (&line{dead: []string{"1.1.1.1:443"}}).dial,
		Resolver: &names{answers: map[string][][]netip.Addr{"inside.example": one("10.0.0.1"), "good.example": one("1.1.1.1")}}})
	_, err := g.DialContext(t.Context(), "tcp", "inside.example:443")
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Host != "inside.example" || refused.Addr != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("a refusal is %#v", err)
	}
	if _, err = g.DialContext(t.Context(), "tcp", "good.example:443"); !errors.Is(err, errDead) || errors.As(err, &refused) {
		t.Errorf("a dead host is %v", err)
	}
}

// An address that swallows packets must not use up the time of the others.
func TestDeadAddressLeavesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took []time.Duration
		begin := time.Now()
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			took = append(took, time.Since(begin))
			return nil, ctx.Err()
		}
		g := newGuard(t, Options{Dial: dial, Timeout: 8 * time.Second, Resolver: &names{
			answers: map[string][][]netip.Addr{"slow.example": one("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4")}}})
		_, err := g.DialContext(t.Context(), "tcp", "slow.example:443")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		want := []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second}
		if !slices.Equal(took, want) {
			t.Errorf("tries ended after %v, want %v", took, want)
		}
	})
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		tries++
		cancel()
		return nil, ctx.Err()
	}
	g := newGuard(t, Options{Dial: dial, Resolver: &names{
		answers: map[string][][]netip.Addr{"slow.example": one("1.1.1.1", "1.1.1.2")}}})
	if _, err := g.DialContext(ctx, "tcp", "slow.example:443"); !errors.Is(err, context.Canceled) || tries != 1 {
		t.Errorf("%d tries, error %v", tries, err)
	}
}

// The real dialer against a listener on loopback, which only the allow list
// opens.
func TestRealDialer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	shut := newGuard(t, Options{Ports: AnyPort()})
	if _, err := shut.DialContext(t.Context(), "tcp", l.Addr().String()); err == nil {
		t.Error("loopback was dialled")
	}
	open := newGuard(t, Options{Ports: AnyPort(), Allow: prefixes("127.0.0.0/8")})
	conn, err := open.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// Whatever a host looks like, what is dialled in the end is an address that
// the guard allows, and no name reaches the resolver that another parser would
// take for an address.
func FuzzDial(f *testing.F) {
	for _, s := range []string{
		"1.1.1.1:443", "[::1]:80", "[::ffff:10.0.0.1]:443", "127.1:80", "0x7f.1:80", "a.example:443", "[fe80::1%25lo]:80",
		"[2002:7f00:1::]:443", "0:80", "[::]:443", "localhost:80", "1.1.1.1.:80", "0x:80", "a..b:80", "[64:ff9b::7f00:1]:443",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		l, n := &line{}, &echo{}
		g := newGuard(t, Options{Dial: l.dial, Resolver: n})
		conn, err := g.DialContext(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (len(l.dialled) == 1) {
			t.Fatalf("%q: dialled %v, error %v", address, l.dialled, err)
		}
		for _, to := range l.dialled {
			ap, err := netip.ParseAddrPort(to)
			if err != nil {
				t.Fatalf("%q: dialled %q, which is no address", address, to)
			}
			if !ap.Addr().IsGlobalUnicast() || ap.Addr().IsPrivate() || g.Check(ap.Addr()) != nil || g.CheckPort(ap.Port()) != nil {
				t.Fatalf("%q: dialled %s", address, to)
			}
		}
		for _, name := range n.asked {
			last := strings.TrimSuffix(name, ".")
			last = strings.ToLower(last[strings.LastIndexByte(last, '.')+1:])
			if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
				t.Fatalf("%q was looked up", name)
			}
		}
	})
}

// echo answers the same public address for every name.
type echo struct{ asked []string }

func (e *echo) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	e.asked = append(e.asked, host)
	return addrs("1.1.1.1"), nil
}

// An address that is allowed is never one that the standard library knows to
// be special, alone or inside of another.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"1.1.1.1", "::1", "2002:7f00:1::", "2001:0:1::f5ff:fffe", "::ffff:0:7f00:1", "fe80::1", "64:ff9b::7f00:1"} {
		ip := netip.MustParseAddr(s).As16()
		f.Add(ip[:])
	}
	g := newGuard(f, Options{})
	f.Fuzz(func(t *testing.T, b []byte) {
		ip, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		if g.Check(ip) != nil {
			return
		}
		if mapped := netip.AddrFrom16(ip.As16()); g.Check(mapped) != nil {
			t.Errorf("%s is allowed and %s is not", ip, mapped)
		}
		ip = ip.Unmap()
		if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() {
			t.Errorf("%s is allowed", ip)
		}
		if carried, ok := inner(ip); ok {
			t.Errorf("%s is allowed, and carries %s", ip, carried)
		}
	})
}
