package netguard

import (
	"net/netip"
	"strings"
	"testing"
)

// A range is what the worst of it is.
func TestCheckRange(t *testing.T) {
	g := newGuard(t, Options{Allow: prefixes("10.1.0.0/16", "fd00::/16")})
	for _, tc := range []struct{ prefix, reason string }{
		{"8.8.8.0/24", ""},
		{"8.0.0.0/8", ""},
		{"10.1.0.0/16", ""},
		{"10.1.2.3/32", ""},
		{"10.0.0.0/15", "private network (10.0.0.0/8)"},
		{"10.0.0.0/8", "private network (10.0.0.0/8)"},
		{"8.0.0.0/6", "private network"},
		{"0.0.0.0/0", "unspecified"},
		{"168.63.0.0/16", "metadata service (168.63.129.16/32)"},
		{"192.0.0.0/8", "private network (192.168.0.0/16)"},
		{"fd00:0:1::/48", ""},
		{"fc00::/7", "unique local network"},
	} {
		err := g.CheckRange(netip.MustParsePrefix(tc.prefix))
		if (err == nil) != (tc.reason == "") || err != nil && !strings.Contains(err.Error(), tc.reason) {
			t.Errorf("%s: %v, want %s", tc.prefix, err, tc.reason)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"a.example": true, "a.example.": true, "_x.example": true, "127.0.0.1": false, "0x7f.1": false, "": false, "a..b": false, "a b": false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestParseRanges(t *testing.T) {
	if list, err := ParseRanges([]string{"10.0.0.0/8", "fd00::/8"}); err != nil || len(list) != 2 || list[0] != netip.MustParsePrefix("10.0.0.0/8") {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := ParseRanges([]string{"10.0.0.1"}); err == nil {
		t.Error("an address is a range")
	}
}
