package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
)

func TestCompile(t *testing.T) {
	for _, tc := range []struct {
		name    string
		network job.Network
		problem string // of the error; empty for none
		mend    string
	}{
		{"nothing", job.Network{}, "", ""},
		{"none", job.Network{Mode: job.NetworkNone}, "", ""},
		{"public", job.Network{Mode: job.NetworkPublic}, "", ""},
		{"names", allow("api.example.com", "*.example.com", "API.Example.com.", "x--y.example", "_srv.example", "xn--bcher-kva.example", "*.internal"), "", ""},
		{"ports", allow("a.example:443", "*.a.example:8000-8100", "a.example:1-65535"), "", ""},
		{"ranges", allow("8.8.8.0/24", "1.1.1.1/32:53-853"), "", ""},
		{"a private range that is open", allow("10.1.0.0/16"), "", ""},

		{"another mode", job.Network{Mode: "all"}, `mode "all" is not known`, "none, allow or public"},
		{"allow without patterns", allow(), "no patterns", "mode none"},
		{"patterns without allow", job.Network{Mode: job.NetworkPublic, Allow: []string{"a.example"}}, "do nothing", "mode allow"},
		{"too many", allow(make([]string, 257)...), "257 network patterns", "256"},
		{"an empty one", allow(""), `pattern ""`, "api.example.com"},
		{"a URL", allow("https://a.example/"), "URL", "host alone"},
		{"everything", allow("*"), "every name", "public"},
		{"everything with a port", allow("*:443"), "every name", "public"},
		{"a top-level domain", allow("*.com"), "top-level domain", "*.example.com"},
		{"a star within", allow("api.*.example"), "whole labels", "*.example.com"},
		{"a star in a label", allow("a*.example"), "whole labels", "*.example.com"},
		{"two stars", allow("*.*.example"), "whole labels", "*.example.com"},
		{"an empty label", allow("a..example"), "no host name", "api.example.com"},
		{"a space", allow("a .example"), "no host name", ""},
		{"a path", allow("a.example/x"), "no range", "without a path"},
		{"letters beyond ASCII", allow("b\u00fccher.example"), "beyond ASCII", "xn--"},
		{"an address", allow("8.8.8.8"), "an address", "8.8.8.8/32"},
		{"an address as a number", allow("134744072"), "no host name", ""},
		{"IPv6", allow("2606:4700::/32"), "IPv6", "name the host"},
		{"IPv6 in brackets", allow("[::1]:443"), "IPv6", ""},
		{"port 0", allow("a.example:0"), "ports", "1 to 65535"},
		{"a port too large", allow("a.example:65536"), "ports", ""},
		{"ports the wrong way round", allow("a.example:90-80"), "ports", ""},
		{"a port's name", allow("a.example:https"), "ports", ""},
		{"no port", allow("a.example:"), "ports", ""},
		{"two ports", allow("a.example:80:81"), "two ports", ""},
		{"every address", allow("0.0.0.0/0"), "every address", "public"},
		{"half of them", allow("0.0.0.0/1"), "wider than a /8", "public"},
		{"bits beyond", allow("8.8.8.8/24"), "beyond its length", "8.8.8.0/24"},
		{"a private range", allow("192.168.0.0/16"), "private network", "egress_allow_cidrs"},
		{"a private range beside one that is open", allow("10.0.0.0/8"), "private network", "egress_allow_cidrs"},
		{"a range with metadata in it", allow("169.254.0.0/16"), "metadata", "egress_allow_cidrs"},
		{"a public range with a private one in it", allow("192.0.0.0/8"), "private network (192.168.0.0/16)", ""},
		{"loopback", allow("127.0.0.1/32"), "loopback", ""},
		{"the sandboxes' own range", allow("198.18.0.0/16"), "own addresses", "name the host"},
		{"a long one", allow(strings.Repeat("a", 400)), "longer", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Compile(tc.network, Options{AllowCIDRs: prefixes("10.1.0.0/16")})
			if tc.problem == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), tc.problem) || !strings.Contains(err.Error(), "; ") ||
				!strings.Contains(err.Error(), tc.mend) {
				t.Errorf("%v; want %s; %s", err, tc.problem, tc.mend)
			}
		})
	}
}

func TestNarrow(t *testing.T) {
	public := job.Network{Mode: job.NetworkPublic}
	for _, tc := range []struct {
		name         string
		outer, inner job.Network
		ok           bool
	}{
		{"none in none", job.Network{}, job.Network{Mode: job.NetworkNone}, true},
		{"none in public", public, job.Network{}, true},
		{"public in public", public, public, true},
		{"names in public", public, allow("a.example:1-65535"), true},
		{"public in none", job.Network{}, public, false},
		{"names in none", job.Network{}, allow("a.example"), false},
		{"public in names", allow("a.example"), public, false},
		{"the same", allow("a.example"), allow("a.example"), true},
		{"in another case", allow("A.example."), allow("a.Example"), true},
		{"one of them", allow("a.example", "b.example"), allow("b.example:443"), true},
		{"another", allow("a.example"), allow("b.example"), false},
		{"a name of a wildcard", allow("*.example.com"), allow("x.y.example.com"), true},
		{"the wildcard's own name", allow("*.example.com"), allow("example.com"), false},
		{"a wildcard of a wildcard", allow("*.example.com"), allow("*.x.example.com", "*.example.com"), true},
		{"a wider wildcard", allow("*.x.example.com"), allow("*.example.com"), false},
		{"a wildcard of a name", allow("example.com"), allow("*.example.com"), false},
		{"a lookalike", allow("*.example.com"), allow("evil-example.com"), false},
		{"another port", allow("a.example"), allow("a.example:22"), false},
		{"a range that touches both", allow("a.example"), allow("a.example:80-443"), false},
		{"ports of two patterns", allow("x.a.example:80-90", "*.a.example:91-99"), allow("x.a.example:85-95"), true},
		{"a range in a range", allow("8.8.0.0/16"), allow("8.8.8.0/24:443"), true},
		{"a wider range", allow("8.8.8.0/24"), allow("8.8.0.0/16"), false},
		{"a range in a name", allow("a.example"), allow("8.8.8.0/24"), false},
		{"a bad one", public, allow("*"), false},
	} {
		if err := Narrow(tc.outer, tc.inner); (err == nil) != tc.ok || err != nil && job.KindOf(err) != job.KindInvalid {
			t.Errorf("%s: %v", tc.name, err)
		}
		if _, err := Compile(tc.inner, Options{Within: &tc.outer}); (err == nil) != tc.ok {
			t.Errorf("%s, compiled: %v", tc.name, err)
		}
	}
}

// What the operator opens for policies is not open to a request that narrows
// the whole internet.
func TestNarrowedPublicStaysPublic(t *testing.T) {
	w := newWorld()
	w.names["inside.example"] = always("10.0.0.1")
	o := w.options()
	o.AllowCIDRs = prefixes("10.0.0.0/8")
	p, err := Compile(allow("inside.example"), o)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := p.Explain(t.Context(), "inside.example"); !v.Allowed {
		t.Errorf("the operator's: %+v", v)
	}
	o.Within = &job.Network{Mode: job.NetworkPublic}
	if p, err = Compile(allow("inside.example"), o); err != nil {
		t.Fatal(err)
	}
	if v, _ := p.Explain(t.Context(), "inside.example"); v.Allowed {
		t.Errorf("in public: %+v", v)
	}
	if _, err = Compile(allow("10.0.0.0/8"), o); err == nil {
		t.Error("a private range in public")
	}
}

func TestExplain(t *testing.T) {
	w := newWorld()
	w.names["inside.example"] = always("10.0.0.1")
	o := w.options()
	public := job.Network{Mode: job.NetworkPublic}
	for _, tc := range []struct {
		network        job.Network
		target, host   string
		port           uint16
		reason, detail string
	}{
		{allow("a.example"), "https://A.example/x?y", "a.example", 443, "", "has to name a.example"},
		{allow("a.example"), "http://a.example", "a.example", 80, "", "Host has to be a.example"},
		{allow("*.a.example:5432"), "postgres://u:p@sub.a.example/db", "sub.a.example", 5432, "", "open by *.a.example:5432"},
		{allow("*.a.example:1000-2000"), "sub.a.example:1500", "sub.a.example", 1500, "", "the pattern *.a.example:1000-2000"},
		{public, "a.example", "a.example", 443, "", "1.1.1.1 may be dialled"},
		{public, "8.8.8.8:53", "8.8.8.8", 53, "", "8.8.8.8 may be dialled"},
		{allow("8.8.8.0/24"), "8.8.8.8", "8.8.8.8", 443, "", ""},
		{job.Network{}, "a.example", "a.example", 443, reasonNone, ""},
		{allow("a.example"), "b.example", "b.example", 443, reasonNoName, ""},
		{allow("a.example"), "ssh://a.example", "a.example", 22, "its port is not open", ""},
		{allow("a.example"), "1.1.1.1", "1.1.1.1", 443, reasonNoCIDR, ""},
		{allow("inside.example"), "inside.example", "inside.example", 443, "it resolves to 10.0.0.1: private network", ""},
		{public, "169.254.169.254", "169.254.169.254", 443, "metadata service", ""},
		{public, "http://[::ffff:10.0.0.1]/", "10.0.0.1", 80, "private network", ""},
		{public, "http://[2606:4700::1111]/", "2606:4700::1111", 80, reasonIPv6, ""},
		{public, "localhost", "localhost", 443, reasonLocalName, ""},
		{public, "http://2130706433/", "2130706433", 80, reasonBadName, ""},
		{public, "nobody.example", "nobody.example", 443, "does not resolve", ""},
	} {
		p, err := Compile(tc.network, o)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Explain(t.Context(), tc.target)
		if err != nil || v.Allowed != (tc.reason == "") || !strings.Contains(v.Reason, tc.reason) || v.Host != tc.host || v.Port != tc.port {
			t.Errorf("%v of %s: %+v, %v", tc.network, tc.target, v, err)
		}
		found := false
		for _, s := range v.Steps {
			found = found || strings.Contains(s.Why, tc.detail)
		}
		if !found {
			t.Errorf("%s: no step says %q: %+v", tc.target, tc.detail, v.Steps)
		}
	}
	p, _ := Compile(public, o)
	for _, target := range []string{"", ":443", "a.example:0", "a.example:x", "gopher://a.example", "http://[::1", "https://"} {
		if _, err := p.Explain(t.Context(), target); job.KindOf(err) != job.KindInvalid {
			t.Errorf("%q: %v", target, err)
		}
	}
}

// A pattern that was understood covers names and nothing else, and never what
// another pattern of the same text in lower case would not.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"a.example", "*.a.example:1-2", "8.8.8.0/24:53", "*", "a:b:c", "xn--a.example."} {
		f.Add(s, "a.example")
	}
	f.Fuzz(func(t *testing.T, text, host string) {
		p, err := parsePattern(text)
		if err != nil {
			if job.KindOf(err) != job.KindInvalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if p.prefix.IsValid() {
			if p.prefix.Bits() < minPrefixBits || p.prefix.Overlaps(Prefix()) || p.covers(host) {
				t.Errorf("%q is %v", text, p.prefix)
			}
			return
		}
		if netguard.CheckName(p.name) != nil || p.coversAddr(netip.Addr{}) {
			t.Errorf("%q is %q", text, p.name)
		}
		host = canonical(host)
		if p.covers(host) && host != p.name && !strings.HasSuffix(host, "."+p.name) {
			t.Errorf("%q covers %q", text, host)
		}
		if !p.contains(&p) {
			t.Errorf("%q does not contain itself", text)
		}
	})
}
