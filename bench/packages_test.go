package main

import (
	"archive/zip"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// What goes out of a sandbox and what is installed is measured, too.
func TestNetworkAndPackages(t *testing.T) {
	takotest.RequireRoot(t)
	if takotest.Cgroups(t) == nil {
		t.Skip("needs cgroups")
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if quick(t, "network", &r); reachable(addrs) != "" && (len(r.Network) != 2 || r.Network[1].Down <= 0 || r.Network[1].ConnectMS.P50 <= 0) {
		t.Errorf("%+v", r.Network)
	}
	quick(t, "packages", &r)
	p := r.Packages
	if p == nil || p.PackedMS.P50 <= 0 || p.PlainMS.P50 <= 0 || (p.Pip > 0) == (p.NoPip != "") {
		t.Fatalf("%+v", p)
	}
	if p.AskedFirst < 2*wheels || p.AskedAgain != 0 {
		t.Errorf("the index was asked %d times and then %d times: nothing was installed, or twice", p.AskedFirst, p.AskedAgain)
	}
}

func TestReachable(t *testing.T) {
	for name, c := range map[string]struct {
		cidrs []string
		want  string
	}{
		"none":                        {nil, ""},
		"loopback alone":              {[]string{"127.0.0.1/8", "::1/128"}, ""},
		"one that needs no router":    {[]string{"169.254.3.4/16"}, ""},
		"IPv6 alone":                  {[]string{"2001:db8::1/64"}, ""},
		"the first that others reach": {[]string{"127.0.0.1/8", "2001:db8::1/64", "192.0.2.2/24", "192.0.2.3/24"}, "192.0.2.2"},
		"a private one is as good":    {[]string{"10.1.2.3/8"}, "10.1.2.3"},
		"the one that means any":      {[]string{"0.0.0.0/0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var addrs []net.Addr
			for _, text := range c.cidrs {
				ip, n, err := net.ParseCIDR(text)
				if err != nil {
					t.Fatal(err)
				}
				addrs = append(addrs, &net.IPNet{IP: ip, Mask: n.Mask})
			}
			if got := reachable(addrs); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The server of the network part does what a connection's first line asks for.
func TestAnswer(t *testing.T) {
	long := strings.Repeat("a", 300)
	for name, c := range map[string]struct {
		asks, says, want string
		fails            bool
	}{
		"a first byte":             {asks: "first 0\n", want: "x"},
		"what it was sent":         {asks: "echo 0\n", says: long, want: long},
		"so many bytes":            {asks: "down 300\n", want: strings.Repeat("\x00", 300)},
		"a byte when it has all":   {asks: "up 300\n", says: long, want: "x"},
		"no byte when some lack":   {asks: "up 301\n", says: long, fails: true},
		"something else":           {asks: "down\n", fails: true},
		"a word that is not known": {asks: "sideways 1\n", fails: true},
		"a line without an end":    {asks: long, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			ours := &talk{Reader: strings.NewReader(c.asks + c.says)}
			if err := answer(ours); (err != nil) != c.fails {
				t.Errorf("it ended with %v", err)
			}
			if got := ours.answers.String(); got != c.want {
				t.Errorf("it answered %q, want %q", got, c.want)
			}
		})
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0.0658: "0.0658", 1.7749: "1.77", 42: "42", 99.94: "99.9", 412.4: "412", 2950.2: "2950"} {
		if got := digits(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

// talk is what one side says and what it is answered.
type talk struct {
	io.Reader
	answers strings.Builder
}

func (c *talk) Write(p []byte) (int, error) { return c.answers.Write(p) }

// The index has every package that was made, and nothing else.
func TestIndex(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wheels")
	names, err := makeWheels(dir)
	if err != nil || len(names) != wheels {
		t.Fatalf("%d wheels, %v", len(names), err)
	}
	x := serveIndex(dir)
	defer x.Close()
	get := func(path string) (int, string) {
		resp, err := http.Get(x.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, n := range names {
		file := "/files/" + strings.ReplaceAll(n, "-", "_") + "-1.0-py3-none-any.whl"
		if code, page := get("/simple/" + n + "/"); code != http.StatusOK || strings.Count(page, "<a ") != 1 || !strings.Contains(page, `"`+file+`"`) {
			t.Errorf("the page of %s: %d, %q", n, code, page)
		}
		if code, body := get(file); code != http.StatusOK || !strings.HasPrefix(body, "PK") {
			t.Errorf("%s: %d, %d bytes", file, code, len(body))
		}
	}
	for _, path := range []string{"/simple/bench-20/", "/simple/bench/", "/simple/..%2fwheels/", "/files/nothing.whl"} {
		if code, _ := get(path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if n := x.asked.Load(); n != 2*wheels+4 {
		t.Errorf("it counted %d requests", n)
	}
}

// The first wheel needs others, so that an installation has something to resolve.
func TestWheelsNeedOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wheels")
	names, err := makeWheels(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		base := strings.ReplaceAll(n, "-", "_")
		z, err := zip.OpenReader(filepath.Join(dir, base+"-1.0-py3-none-any.whl"))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		metadata, err := fs.ReadFile(z, base+"-1.0.dist-info/METADATA")
		if err != nil {
			t.Fatal(err)
		}
		files, err := fs.Glob(z, base+"/m*.py")
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if i == 0 {
			want = needed
		}
		if got := strings.Count(string(metadata), "Requires-Dist: bench-"); got != want || len(files) != modules {
			t.Errorf("%s needs %d others, want %d; it has %d modules", n, got, want, len(files))
		}
	}
}
