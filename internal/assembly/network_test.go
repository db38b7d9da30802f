package assembly

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// internet is what sandboxes of a test can reach: names, and servers on loopback
// that stand for what they resolve to.
type internet struct {
	names   map[string]string // to addresses
	servers map[string]string // "address:port" to a listener
	ca      []byte            // of example.com
}

func (i *internet) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	ip, ok := i.names[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(ip)}, nil
}

func (i *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, ok := i.servers[address]
	if !ok {
		return nil, fmt.Errorf("nobody is at %s", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "you asked %s", r.Host) })
	plain, secure := httptest.NewServer(page), httptest.NewTLSServer(page) // of example.com
	t.Cleanup(func() { plain.Close(); secure.Close() })
	first, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { first.Close() })
	go func() {
		for {
			c, err := first.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, "SSH-2.0-first\n")
				_, _ = io.Copy(c, c) // until it has gone
			}()
		}
	}()
	const public = "93.184.215.14"
	return &internet{
		names: map[string]string{"example.com": public, "other.example": public, "inside.example": "10.0.0.1", "meta.example": "169.254.169.254"},
		servers: map[string]string{public + ":80": plain.Listener.Addr().String(), public + ":443": secure.Listener.Addr().String(),
			public + ":22": first.Addr().String()},
		ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}),
	}
}

// policy is what lets patterns through; without any, it is public.
func (i *internet) policy(t *testing.T, patterns ...string) *egress.Policy {
	t.Helper()
	n := job.Network{Mode: job.NetworkPublic}
	if len(patterns) > 0 {
		n = job.Network{Mode: job.NetworkAllow, Allow: patterns}
	}
	p, err := egress.Compile(n, egress.Options{Resolver: i, Dial: i.dial, Own: func() ([]netip.Addr, error) { return nil, nil }})
	must(t, err)
	return p
}

// tools are what programs of these tests begin with.
const tools = `
import socket, ssl, urllib.request
def get(url):
    ctx = ssl.create_default_context(cafile="/input/ca.pem") if url.startswith("https") else None
    try:
        return urllib.request.urlopen(url, timeout=10, context=ctx).read().decode()
    except Exception as e:
        return type(getattr(e, "reason", e)).__name__
def dial(host, port):
    try:
        socket.create_connection((host, port), 10).close()
        return "connected"
    except OSError as e:
        return type(e).__name__
`

func (i *internet) attempt(r *rig, p *egress.Policy, code string) runner.Attempt {
	a := r.python(tools + code)
	a.Network = p
	a.Files = []runner.File{{Path: "ca.pem", Size: int64(len(i.ca)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(i.ca))), nil
	}}}
	return a
}

// denied reports whether a reason was given for a host.
func denied(use *job.NetworkUse, host, reason string) bool {
	for _, d := range use.Denied {
		if d.Host == host && strings.Contains(d.Reason, reason) && d.Count > 0 {
			return true
		}
	}
	return false
}

// A program reaches what its policy names, by any protocol, and nothing else;
// the result says what it did and what was refused.
func TestNetworkAllows(t *testing.T) {
	eachSupply(t, func(t *testing.T, r *rig) {
		net := newInternet(t)
		res := r.run(t, net.attempt(r, net.policy(t, "example.com", "example.com:22", "inside.example", "meta.example"), `
print(get("http://example.com/"), get("https://example.com/"))
ssh = socket.create_connection(("example.com", 22), 10)
print(ssh.recv(100))
ssh.sendall(b"x" * 100000); ssh.shutdown(socket.SHUT_WR)
print(len(b"".join(iter(lambda: ssh.recv(65536), b""))))
print(get("http://other.example/"), get("http://inside.example/"), get("http://meta.example/"))
print(dial("93.184.215.14", 80), dial("169.254.169.254", 80), dial("127.0.0.1", 80), dial("198.18.0.1", 22), dial("::ffff:93.184.215.14", 80), dial("example.com", 8080))
s = socket.create_connection(("example.com", 443), 10)
try: ssl._create_unverified_context().wrap_socket(s, server_hostname="other.example"); print("fronted")
except OSError as e: print("not fronted")
`))
		const want = "you asked example.com you asked example.com\nb'SSH-2.0-first\\n'\n100000\ngaierror ConnectionRefusedError ConnectionRefusedError\n" +
			"ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError\nnot fronted\n"
		if got := string(res.Stdout.Kept); got != want {
			t.Errorf("it printed\n%s\nnot\n%s\n%s", got, want, show(res))
		}
		use := res.Network
		if use == nil || use.Mode != job.NetworkAllow || use.BytesIn < 100_000 || use.BytesOut < 100_000 {
			t.Fatalf("%+v", use)
		}
		for host, reason := range map[string]string{"other.example": "not one of the names", "inside.example": "private", "meta.example": "metadata",
			"93.184.215.14": "", "169.254.169.254": "", "example.com": "port"} {
			if !denied(use, host, reason) {
				t.Errorf("nothing says why %s was refused (%s): %+v", host, reason, use.Denied)
			}
		}
	})
}

// The internet is what is public, whatever it is called.
func TestNetworkIsPublic(t *testing.T) {
	r, net := newRig(t), newInternet(t)
	got := r.print(t, net.attempt(r, net.policy(t), `
print(get("http://example.com/"), get("http://93.184.215.14/"), get("http://other.example/"))
print(dial("inside.example", 80), dial("10.0.0.1", 80), dial("meta.example", 80), dial("nobody.example", 80))
`))
	if got != "you asked example.com you asked 93.184.215.14 you asked other.example\nConnectionRefusedError ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError\n" {
		t.Errorf("it printed %s", got)
	}
}

// A sandbox that waited serves any policy, and those without a network have none
// of it.
func TestNetworkOfTheNext(t *testing.T) {
	r, net := newPooled(t), newInternet(t)
	const code = `print(get("http://example.com/"), get("http://other.example/"), [n for _, n in socket.if_nameindex()])`
	for _, tc := range []struct {
		policy *egress.Policy
		want   string
	}{
		{net.policy(t, "example.com"), "you asked example.com gaierror ['lo', 'eth0']\n"},
		{net.policy(t, "other.example"), "gaierror you asked other.example ['lo', 'eth0']\n"},
		{nil, "gaierror gaierror ['lo']\n"},
	} {
		res := r.pooled(t, t.Context(), net.attempt(r, tc.policy, code), runner.Sinks{Keep: true})
		if got := string(res.Stdout.Kept); got != tc.want || (res.Network == nil) != (tc.policy == nil) {
			t.Errorf("it printed %q, not %q: %s", got, tc.want, show(res))
		}
	}
}

// What images say of the resolver is where it is.
func TestResolverOfImages(t *testing.T) {
	r := newRig(t)
	if got := r.print(t, r.python(`print(open("/etc/resolv.conf").read())`)); got != "nameserver "+egress.GatewayIP+"\n\n" {
		t.Errorf("it says %q", got)
	}
}

// A program that fails because it was refused a connection says so in its record;
// one that fails of something else, and one that has no network, do not.
func TestNetworkErrors(t *testing.T) {
	r := newRig(t)
	net := newInternet(t)
	for name, tc := range map[string]struct {
		code, kind, message string
	}{
		"a name":      {`urllib.request.urlopen("http://other.example/")`, "network_error", "; the network policy refused other.example: not one of the names that the policy allows"},
		"a port":      {`socket.create_connection(("example.com", 8080))`, "network_error", "; the network policy refused example.com:8080: its port is not open"},
		"a private":   {`socket.create_connection(("inside.example", 80))`, "network_error", "; the network policy refused inside.example:80: it resolves to 10.0.0.1"},
		"not that":    {`dial("other.example", 80); raise ValueError("x")`, "value_error", ""},
		"not refused": {`raise OSError("x")`, "os_error", ""},
	} {
		res := r.run(t, net.attempt(r, net.policy(t, "example.com", "inside.example"), tc.code))
		if res.Error == nil || res.Error.Type != tc.kind || !strings.Contains(res.Error.Message, tc.message) || tc.message == "" && strings.Contains(res.Error.Message, "refused") {
			t.Errorf("%s: %+v", name, res.Error)
		}
	}
	res := r.run(t, r.python(`import socket; socket.create_connection(("other.example", 80))`))
	if res.Error.Type != "runtime_error" || strings.Contains(res.Error.Message, "policy") {
		t.Errorf("without a network: %+v", res.Error)
	}
}
