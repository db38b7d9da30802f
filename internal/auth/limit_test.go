package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

func TestLimiter(t *testing.T) {
	c := newClock()
	l := NewLimiter(LimitOptions{Requests: 2, Window: time.Minute, Now: c.read})
	for i, step := range []struct {
		after  time.Duration
		caller string
		ok     bool
		wait   time.Duration
	}{
		{0, "a", true, 0},
		{10 * time.Second, "a", true, 0},
		{0, "a", false, 50 * time.Second},
		{0, "b", true, 0}, // a caller of its own
		{time.Millisecond, "a", false, 50 * time.Second},
		{49*time.Second + 998*time.Millisecond, "a", false, time.Second},
		{time.Millisecond, "a", true, 0}, // its window began with the first call
		{0, "a", true, 0},
		{0, "a", false, time.Minute},
		{0, "b", true, 0},
		{0, "b", false, 10 * time.Second},
		{-time.Hour, "a", true, 0}, // the clock was set back
	} {
		c.add(step.after)
		if ok, wait := l.Allow(step.caller); ok != step.ok || wait != step.wait {
			t.Errorf("step %d: %v, %v; want %v, %v", i, ok, wait, step.ok, step.wait)
		}
	}
}

func TestLimiterDefaults(t *testing.T) {
	c := newClock()
	l := NewLimiter(LimitOptions{Now: c.read})
	for range 120 {
		if ok, _ := l.Allow("a"); !ok {
			t.Fatal("fewer than 120")
		}
	}
	if ok, wait := l.Allow("a"); ok || wait != time.Minute {
		t.Errorf("%v, %v", ok, wait)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	c := newClock()
	l := NewLimiter(LimitOptions{Requests: 1, Window: time.Minute, Callers: 100, Now: c.read})
	for i := range 1000 {
		l.Allow(fmt.Sprint(i))
		if len(l.windows) > 100 || l.begun.Len() != len(l.windows) {
			t.Fatalf("%d windows, %d in order", len(l.windows), l.begun.Len())
		}
	}
	if ok, _ := l.Allow("999"); ok {
		t.Error("the last caller's window was taken")
	}
	if ok, _ := l.Allow("0"); !ok {
		t.Error("the first caller's window was kept")
	}
	c.add(2 * time.Minute)
	for range 51 {
		l.Allow("x")
	}
	if len(l.windows) != 1 {
		t.Errorf("%d windows are left after they ended", len(l.windows))
	}
}

func TestLimiterTogether(t *testing.T) {
	l := NewLimiter(LimitOptions{Requests: 100, Window: time.Hour})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if ok, _ := l.Allow("a"); ok {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 100 {
		t.Errorf("%d were allowed", allowed.Load())
	}
}

func TestLimitKey(t *testing.T) {
	for _, tc := range []struct{ name, ip, want string }{
		{"key:a", "1.2.3.4", "key:a"},
		{"api_key:0", "1.2.3.4", "api_key:0"},
		{"anonymous", "1.2.3.4", "address:1.2.3.4"},
		{"", "1.2.3.4", "address:1.2.3.4"},
		{"", "::ffff:1.2.3.4", "address:1.2.3.4"},
		{"", "2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"},
		{"", "2001:db8:1:2::1", "address:2001:db8:1:2::/64"},
		{"", "fe80::1%eth0", "address:fe80::/64"},
		{"", "", "unknown"},
	} {
		ip, _ := netip.ParseAddr(tc.ip)
		if got := LimitKey(job.Principal{Name: tc.name}, ip); got != tc.want {
			t.Errorf("%q at %q is %q, want %q", tc.name, tc.ip, got, tc.want)
		}
	}
}

func TestClient(t *testing.T) {
	trusted := []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:127.0.0.1"}
	for _, tc := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "1.2.3.4:5", nil, "1.2.3.4"},
		{"a stranger's word", "1.2.3.4:5", []string{"9.9.9.9"}, "1.2.3.4"},
		{"a proxy that says nothing", "10.0.0.1:5", nil, "10.0.0.1"},
		{"a proxy's word", "10.0.0.1:5", []string{"9.9.9.9"}, "9.9.9.9"},
		{"a single address", "192.0.2.7:5", []string{"9.9.9.9"}, "9.9.9.9"},
		{"and its neighbour", "192.0.2.8:5", []string{"9.9.9.9"}, "192.0.2.8"},
		{"an IPv4-mapped proxy", "[::ffff:10.0.0.1]:5", []string{"9.9.9.9"}, "9.9.9.9"},
		{"a proxy written as mapped", "127.0.0.1:5", []string{"9.9.9.9"}, "9.9.9.9"},
		{"an IPv6 proxy", "[2001:db8::1]:5", []string{"2606:4700::1"}, "2606:4700::1"},
		{"what the client wrote is left out", "10.0.0.1:5", []string{"6.6.6.6, 9.9.9.9"}, "9.9.9.9"},
		{"a chain", "10.0.0.1:5", []string{"6.6.6.6, 9.9.9.9, 10.0.0.3, 10.0.0.2"}, "9.9.9.9"},
		{"a chain over lines", "10.0.0.1:5", []string{"6.6.6.6, 9.9.9.9", "10.0.0.3", "10.0.0.2"}, "9.9.9.9"},
		{"proxies only", "10.0.0.1:5", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"with ports", "10.0.0.1:5", []string{"9.9.9.9:1234, 10.0.0.2:80"}, "9.9.9.9"},
		{"IPv6 with a port", "10.0.0.1:5", []string{"[2606:4700::1]:1234"}, "2606:4700::1"},
		{"IPv6 in brackets", "10.0.0.1:5", []string{"[2606:4700::1]"}, "2606:4700::1"},
		{"mapped", "10.0.0.1:5", []string{"::ffff:9.9.9.9"}, "9.9.9.9"},
		{"a zone is dropped", "10.0.0.1:5", []string{"fe80::1%eth0"}, "fe80::1"},
		{"no address", "10.0.0.1:5", []string{"unknown"}, "10.0.0.1"},
		{"no address in the middle", "10.0.0.1:5", []string{"6.6.6.6, _hidden, 10.0.0.2"}, "10.0.0.2"},
		{"an empty element", "10.0.0.1:5", []string{"6.6.6.6,, 10.0.0.2"}, "10.0.0.2"},
		{"an empty header", "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"no port", "1.2.3.4", nil, "1.2.3.4"},
		{"a Unix socket", "@", []string{"9.9.9.9"}, "invalid IP"},
		{"nothing", "", nil, "invalid IP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ParseProxies(trusted)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Client(tc.remote, http.Header{"X-Forwarded-For": tc.forwarded}); got.String() != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			var none Proxies
			direct, _ := parseHop(tc.remote)
			if got := none.Client(tc.remote, http.Header{"X-Forwarded-For": tc.forwarded}); got != direct {
				t.Errorf("without proxies it is %s", got)
			}
		})
	}
}

func TestParseProxiesRefuses(t *testing.T) {
	for _, text := range []string{"", "proxy.example", "10.0.0.0/33", "10.0.0.1:80", "::ffff:10.0.0.0/104"} {
		if _, err := ParseProxies([]string{"10.0.0.1", text}); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// Whatever a header says, the answer is the connection's other end or an
// address that a trusted proxy wrote, and nothing left of the first address
// that is not trusted has a say.
func FuzzClient(f *testing.F) {
	f.Add("10.0.0.1:5", "6.6.6.6, 9.9.9.9")
	f.Add("[::1]:5", "[::1]:80,,")
	f.Add("1.2.3.4:5", "x")
	p, err := ParseProxies([]string{"10.0.0.0/8", "::1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		peer, _ := parseHop(remote)
		got := p.Client(remote, http.Header{"X-Forwarded-For": {forwarded}})
		if !p.trusts(peer) && got != peer {
			t.Fatalf("a stranger at %q is %s", remote, got)
		}
		if got.IsValid() && (got.Zone() != "" || got.Is4In6()) {
			t.Fatalf("%#v", got)
		}
		if peer.IsValid() && !got.IsValid() {
			t.Fatalf("%q at %q is nobody", forwarded, remote)
		}
		if !strings.Contains(forwarded, ",") {
			return
		}
		last := forwarded[strings.LastIndexByte(forwarded, ',')+1:]
		if hop, ok := parseHop(last); ok && p.trusts(peer) && !p.trusts(hop) && got != hop {
			t.Fatalf("%q at %q is %s", forwarded, remote, got)
		}
	})
}
