package netguard

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newGuard(t testing.TB, o Options) *Guard {
	t.Helper()
	if o.Own == nil {
		o.Own = func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("2606:4700::9")}, nil
		}
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// Each refused range is tried at both ends and just outside of them.
func TestCheck(t *testing.T) {
	g := newGuard(t, Options{})
	for _, tc := range []struct{ ip, reason string }{
		{"1.1.1.1", ""},
		{"0.0.0.0", "unspecified"},
		{"0.0.0.1", "this network"},
		{"0.255.255.255", "this network"},
		{"1.0.0.0", ""},
		{"9.255.255.255", ""},
		{"10.0.0.0", "private"},
		{"10.255.255.255", "private"},
		{"11.0.0.0", ""},
		{"100.63.255.255", ""},
		{"100.64.0.0", "carrier-grade"},
		{"100.100.100.200", "carrier-grade"},
		{"100.127.255.255", "carrier-grade"},
		{"100.128.0.0", ""},
		{"126.255.255.255", ""},
		{"127.0.0.0", "loopback"},
		{"127.0.0.1", "loopback"},
		{"127.255.255.255", "loopback"},
		{"128.0.0.0", ""},
		{"168.63.129.15", ""},
		{"168.63.129.16", "metadata"},
		{"169.253.255.255", ""},
		{"169.254.0.0", "link-local"},
		{"169.254.169.254", "metadata"},
		{"169.254.255.255", "link-local"},
		{"169.255.0.0", ""},
		{"172.15.255.255", ""},
		{"172.16.0.0", "private"},
		{"172.31.255.255", "private"},
		{"172.32.0.0", ""},
		{"191.255.255.255", ""},
		{"192.0.0.0", "protocol"},
		{"192.0.0.192", "protocol"},
		{"192.0.0.255", "protocol"},
		{"192.0.1.0", ""},
		{"192.0.2.0", "documentation"},
		{"192.0.2.255", "documentation"},
		{"192.0.3.0", ""},
		{"192.88.99.1", "6to4 relay"},
		{"192.167.255.255", ""},
		{"192.168.0.0", "private"},
		{"192.168.255.255", "private"},
		{"192.169.0.0", ""},
		{"198.17.255.255", ""},
		{"198.18.0.0", "benchmarks"},
		{"198.19.255.255", "benchmarks"},
		{"198.20.0.0", ""},
		{"198.51.100.1", "documentation"},
		{"203.0.113.255", "documentation"},
		{"203.0.114.0", ""},
		{"223.255.255.255", ""},
		{"224.0.0.0", "multicast"},
		{"239.255.255.255", "multicast"},
		{"240.0.0.0", "reserved"},
		{"255.255.255.254", "reserved"},
		{"255.255.255.255", "broadcast"},
		{"9.9.9.9", "own address"},

		{"::", "unspecified"},
		{"::1", "loopback"},
		{"::2", "IPv4-compatible"},
		{"::8.8.8.8", "IPv4-compatible"},
		{"::127.0.0.1", "IPv4-compatible"},
		{"::10.0.0.1", "leads to 10.0.0.1: private"},
		{"::ffff:8.8.8.8", ""},
		{"::ffff:127.0.0.1", "loopback"},
		{"::ffff:169.254.169.254", "metadata"},
		{"::ffff:9.9.9.9", "own address"},
		{"::ffff:0:8.8.8.8", "IPv4-translated"},
		{"::ffff:0:10.0.0.1", "leads to 10.0.0.1"},
		{"64:ff9b::8.8.8.8", "NAT64"},
		{"64:ff9b::10.0.0.1", "leads to 10.0.0.1: private"},
		{"64:ff9b:1::1", "NAT64"},
		{"100::1", "outside"},
		{"1fff:ffff::", "outside"},
		{"2000::", ""},
		{"2001::1", "Teredo"},
		{"2001:0:4136:e378:8000:63bf:f5ff:fffe", "leads to 10.0.0.1: private"},
		{"2001:2::1", "benchmarks"},
		{"2001:10::1", "protocol"},
		{"2001:1ff:ffff::", "protocol"},
		{"2001:200::", ""},
		{"2001:db7:ffff::", ""},
		{"2001:db8::1", "documentation"},
		{"2001:db9::", ""},
		{"2002:808:808::1", "6to4"},
		{"2002:7f00:1::", "leads to 127.0.0.1: loopback"},
		{"2003::", ""},
		{"2606:4700::1111", ""},
		{"2606:4700::9", "own address"},
		{"3fff::1", "documentation"},
		{"3fff:1000::", ""},
		{"3ffe::1", ""},
		{"4000::", "outside"},
		{"5f00::1", "outside"},
		{"fbff::", "outside"},
		{"fc00::", "unique local"},
		{"fd00:ec2::254", "metadata"},
		{"fdff:ffff::1", "unique local"},
		{"fe00::1", "outside"},
		{"fe80::1", "link-local"},
		{"febf:ffff::1", "link-local"},
		{"fec0::1", "site-local"},
		{"ff02::1", "multicast"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},
		{"fe80::1%eth0", "one interface"},
		{"2606:4700::1111%lo", "one interface"},
		{"::1%lo", "one interface"},
	} {
		ip := netip.MustParseAddr(tc.ip)
		err := g.Check(ip)
		switch {
		case tc.reason == "" && err != nil:
			t.Errorf("%s is refused: %v", tc.ip, err)
		case tc.reason != "" && err == nil:
			t.Errorf("%s is allowed; want: %s", tc.ip, tc.reason)
		case err != nil && !strings.Contains(err.Error(), tc.reason):
			t.Errorf("%s: %v; want: %s", tc.ip, err, tc.reason)
		case err != nil && !strings.Contains(err.Error(), ip.String()):
			t.Errorf("the error does not name %s: %v", tc.ip, err)
		}
	}
	if err := g.Check(netip.Addr{}); err == nil {
		t.Error("no address at all is allowed")
	}
}

func TestAllowList(t *testing.T) {
	for _, tc := range []struct {
		name, ip string
		allow    []netip.Prefix
		ok       bool
	}{
		{"a private range", "10.1.2.3", prefixes("10.1.0.0/16"), true},
		{"beside it", "10.2.0.1", prefixes("10.1.0.0/16"), false},
		{"mapped is the same address", "::ffff:10.1.2.3", prefixes("10.1.0.0/16"), true},
		{"an own address", "9.9.9.9", prefixes("9.9.9.9/32"), true},
		{"loopback", "::1", prefixes("::1/128"), true},
		{"all of IPv4 is not IPv6", "::1", prefixes("0.0.0.0/0"), false},
		{"all of IPv6 does not open IPv4", "::ffff:10.0.0.1", prefixes("::/0"), false},
		{"NAT64 to a public address", "64:ff9b::8.8.8.8", prefixes("64:ff9b::/96"), true},
		{"NAT64 does not reach through", "64:ff9b::10.0.0.1", prefixes("64:ff9b::/96"), false},
		{"both opened", "64:ff9b::10.0.0.1", prefixes("64:ff9b::/96", "10.0.0.0/8"), true},
		{"inner alone opens nothing", "64:ff9b::10.0.0.1", prefixes("10.0.0.0/8"), false},
		{"6to4 does not reach through", "2002:a00:1::1", prefixes("2002::/16"), false},
		{"Teredo does not reach through", "2001:0:4136:e378:8000:63bf:f5ff:fffe", prefixes("2001::/32"), false},
		{"a zone is never opened", "fe80::1%eth0", prefixes("fe80::/10"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGuard(t, Options{Allow: tc.allow})
			if err := g.Check(netip.MustParseAddr(tc.ip)); (err == nil) != tc.ok {
				t.Errorf("%s: %v", tc.ip, err)
			}
		})
	}
}

func TestOwnAddressesUnknown(t *testing.T) {
	g := newGuard(t, Options{
		Allow: prefixes("10.0.0.0/8"),
		Own:   func() ([]netip.Addr, error) { return nil, errors.New("netlink is gone") },
	})
	if err := g.Check(netip.MustParseAddr("1.1.1.1")); err == nil || !strings.Contains(err.Error(), "netlink is gone") {
		t.Errorf("a machine that does not know its addresses: %v", err)
	}
	if err := g.Check(netip.MustParseAddr("10.0.0.1")); err != nil {
		t.Errorf("an address of the allow list needs no list of its own: %v", err)
	}
}

func TestOwnAddressesOfThisMachine(t *testing.T) {
	own, err := interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(own) == 0 {
		t.Fatal("this machine has no address, not even loopback")
	}
	g, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range own {
		if g.Check(ip) == nil {
			t.Errorf("this machine's %s may be dialled", ip)
		}
	}
}

func TestPorts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ports []Ports
		port  uint16
		ok    bool
	}{
		{"http by default", nil, 80, true},
		{"https by default", nil, 443, true},
		{"not mail", nil, 25, false},
		{"never 0", []Ports{{0, 65535}}, 0, false},
		{"any", AnyPort(), 65535, true},
		{"start of a range", []Ports{{1, 2}, {8000, 8010}}, 8000, true},
		{"end of a range", []Ports{{1, 2}, {8000, 8010}}, 8010, true},
		{"after a range", []Ports{{1, 2}, {8000, 8010}}, 8011, false},
		{"none", []Ports{}, 443, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := newGuard(t, Options{Ports: tc.ports}).CheckPort(tc.port); (err == nil) != tc.ok {
				t.Errorf("port %d: %v", tc.port, err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"a range that is none":            {Allow: []netip.Prefix{{}}},
		"a range that matches nothing":    {Allow: prefixes("::ffff:10.0.0.0/104")},
		"ports that go backwards":         {Ports: []Ports{{443, 80}}},
		"backwards behind one that works": {Ports: []Ports{{80, 80}, {2, 1}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
