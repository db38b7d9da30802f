package egress

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

// httpServer serves address with Go's server, as a real one would be.
func (w *world) httpServer(t testing.TB, address string, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	w.servers[address] = l.Addr().String()
}

// client is Go's client inside of the guest.
func (g *guest) client() *http.Client {
	tr := &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n, err := net.LookupPort("tcp", port)
		if err != nil {
			return nil, err
		}
		return g.dial(host, uint16(n))
	}}
	g.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestHTTP(t *testing.T) {
	w := newWorld()
	w.httpServer(t, "1.1.1.1:80", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s %s %d %v", r.Method, r.Host, r.URL, len(body), err)
	})
	for _, n := range []job.Network{allow("a.example"), {Mode: job.NetworkPublic}} {
		g := newGuest(t, n, w.options())
		c := g.client()
		get := func(want string, send func() (*http.Response, error)) {
			t.Helper()
			r, err := send()
			if err != nil {
				t.Fatalf("%v: %+v", err, g.link.Report())
			}
			defer r.Body.Close()
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		}
		for range 3 { // a client that would keep its connection makes another
			get("GET a.example /x?y=%20z 0 <nil>", func() (*http.Response, error) { return c.Get("http://a.example/x?y=%20z") })
		}
		get("POST a.example / 300000 <nil>", func() (*http.Response, error) {
			return c.Post("http://a.example/", "text/plain", strings.NewReader(strings.Repeat("x", 300_000)))
		})
		get("POST a.example / 300000 <nil>", func() (*http.Response, error) { // chunked
			return c.Post("http://a.example/", "text/plain", io.MultiReader(strings.NewReader(strings.Repeat("x", 300_000))))
		})
		get("PUT a.example:80 / 5 <nil>", func() (*http.Response, error) {
			r, _ := http.NewRequestWithContext(t.Context(), "PUT", "http://a.example:80/", strings.NewReader("hello"))
			r.Host = "a.example:80"
			r.Header.Set("Expect", "100-continue")
			return c.Do(r)
		})
		if d := g.link.Report().Denied; len(d) > 0 {
			t.Errorf("denied: %+v", d)
		}
	}
}

// What passes is not changed beyond what is said in the code.
func TestHeadIsKept(t *testing.T) {
	for name, tc := range map[string][2]string{
		"plain":        {"GET /a%20b HTTP/1.1\r\nhost: A.example \r\nX-Y: 1\r\nx-y:  2\r\n\r\n", "GET /a%20b HTTP/1.1\r\nhost: A.example \r\nX-Y: 1\r\nx-y:  2\r\nConnection: close\r\n\r\n"},
		"of a hop":     {"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, X-Y\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Y: 1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\nX-Y: 1\r\nConnection: close\r\n\r\n"},
		"HTTP/2":       {"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"},
		"a websocket":  {"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\nSec-WebSocket-Key: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		"a length":     {"POST / HTTP/1.0\r\nContent-Length: 007\r\nHost: a.example\r\n\r\n", "POST / HTTP/1.0\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 7\r\n\r\n"},
		"chunks":       {"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: a.example\r\nTrailer: X\r\n\r\n", "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"},
		"all options":  {"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"},
		"a URL within": {"GET /?u=http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /?u=http://b.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"},
	} {
		h, err := parseHead([]byte(tc[0]))
		if err != nil || string(h.out) != tc[1] || h.host != "a.example" {
			t.Errorf("%s: %q for %q, %v", name, h.out, h.host, err)
		}
	}
}

// websocket answers 101 and then says what it hears in capitals.
func websocket(c *net.TCPConn) {
	r := bufio.NewReader(c)
	if _, err := http.ReadRequest(r); err != nil {
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	line, _ := r.ReadString('\n')
	_, _ = io.WriteString(c, strings.ToUpper(line))
}

const upgrade = "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

func TestWebsocket(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:80", websocket)
	g := newGuest(t, allow("a.example"), w.options())
	c := g.mustDial("a.example", 80)
	defer c.Close()
	_, _ = io.WriteString(c, upgrade)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	_, _ = io.WriteString(c, "hello\n")
	if got, err := r.ReadString('\n'); got != "HELLO\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// A client that sends its requests ahead gets the first answer, whole, and the
// end of the connection, after which it asks for the rest again.
func TestPipelining(t *testing.T) {
	w := newWorld()
	var served bytes.Buffer
	w.httpServer(t, "1.1.1.1:80", func(rw http.ResponseWriter, r *http.Request) {
		served.WriteString(r.URL.Path)
		_, _ = rw.Write(make([]byte, 200_000))
	})
	g := newGuest(t, allow("a.example"), w.options())
	c := g.mustDial("a.example", 80)
	defer c.Close()
	_, _ = io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /3 HTTP/1.1\r\nHost: a.example\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || !res.Close {
		t.Fatal(res, err)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != 200_000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v", err)
	}
	if d := g.link.Report().Denied; len(d) > 0 || served.String() != "/1" {
		t.Errorf("served %s, denied: %+v", &served, d)
	}
}

func TestBypassOfHTTP(t *testing.T) {
	a := allow("a.example", "*.wild.example")
	const first = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	const evil = "GET /" + secret + " HTTP/1.1\r\nHost: b.example\r\n\r\n"
	says := func(parts ...string) func(*guest) error { return say("a.example", 80, parts...) }
	other, bad := reasonOtherHost("a.example"), errBadHead.Error()
	var list []bypass
	add := func(name, host, reason string, parts ...string) {
		list = append(list, bypass{name: name, network: a, try: says(parts...), host: host, port: 80, reason: reason})
	}
	add("another Host", "b.example", other, evil)
	add("a second request", "b.example", other, first, evil)
	add("a second request at once", "b.example", other, first+evil+evil, "")
	add("a request behind a body", "b.example", other, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nok"+evil, "")
	add("a request behind chunks", "b.example", other, "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+evil, "")
	add("a request behind an upgrade that is not taken", "b.example", other, upgrade, evil)
	add("a URL", "a.example", "names a URL", "GET http://b.example/"+secret+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
	add("a tunnel", "a.example", "CONNECT", "CONNECT b.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n"+secret)
	add("two Hosts", "a.example", "no Host, or several", "GET /"+secret+" HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n")
	add("the same Host twice", "a.example", "no Host, or several", "GET /"+secret+" HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n")
	add("no Host", "a.example", "no Host, or several", "GET /"+secret+" HTTP/1.0\r\n\r\n")
	add("a Host with a name before it", "a.example@b.example", other, "GET /"+secret+" HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n")
	add("a Host with another port", "a.example:8080", other, "GET /"+secret+" HTTP/1.1\r\nHost: a.example:8080\r\n\r\n")
	add("a list of Hosts", "a.example,?b.example", other, "GET /"+secret+" HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n")
	add("HTTP/2", "a.example", "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+secret)
	add("TLS on the port of HTTP", "a.example", errNoHTTP.Error(), string(makeHello(sni("a.example")))+secret+"\n")
	add("two lengths", "a.example", bad, "POST /"+secret+" HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 50\r\n\r\n"+evil)
	add("a length and chunks", "a.example", bad, "POST /"+secret+" HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+evil)
	add("another coding", "a.example", bad, "POST /"+secret+" HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"+evil)
	add("chunks of HTTP/1.0", "a.example", bad, "POST /"+secret+" HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+evil)
	add("a length with a sign", "a.example", bad, "POST /"+secret+" HTTP/1.1\r\nHost: a.example\r\nContent-Length: +5\r\n\r\n")
	add("a space before a colon", "a.example", bad, "GET /"+secret+" HTTP/1.1\r\nHost: a.example\r\nHost : b.example\r\n\r\n")
	add("a folded line", "a.example", bad, "GET /"+secret+" HTTP/1.1\r\nX: 1\r\n Host: b.example\r\nHost: a.example\r\n\r\n")
	add("a line that ends in LF", "a.example", bad, "GET /"+secret+" HTTP/1.1\nHost: b.example\r\nHost: a.example\r\n\r\n")
	add("a CR within a line", "a.example", bad, "GET /"+secret+" HTTP/1.1\r\nX: 1\rHost: b.example\r\nHost: a.example\r\n\r\n")
	add("a NUL", "a.example", bad, "GET /"+secret+" HTTP/1.1\r\nX: \x00\r\nHost: a.example\r\n\r\n")
	add("two spaces", "a.example", bad, "GET  /"+secret+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
	add("HTTP/0.9", "a.example", bad, "GET /"+secret+"\r\n\r\n")
	add("a head without end", "a.example", bad, "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 70_000)+secret)
	add("a head that does not come", "a.example", reasonSlowHead, "GET /"+secret)
	add("a chunk of no size", "a.example", reasonBadBody, "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"+evil, "")
	runBypasses(t, list)
}

// Whatever passes is one request to Go's server, for the host that we saw.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
	f.Add([]byte(upgrade))
	f.Add([]byte("POST /x HTTP/1.1\r\nHost: a.example:80\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\nConnection: x\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.0\r\nContent-Length: 5\r\nHost: a.example\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n Host: b.example\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := readHead(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		h, err := parseHead(raw)
		if err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(h.out)))
		if err != nil {
			return // Go is stricter with targets
		}
		host := canonical(strings.TrimSuffix(r.Host, ":80"))
		if host != h.host || r.ContentLength != h.length && !h.chunked || h.chunked != (r.ContentLength < 0) || r.URL.IsAbs() {
			t.Errorf("%q is for %q (%d), we say %q (%d)", h.out, r.Host, r.ContentLength, h.host, h.length)
		}
		if n := bytes.Count(h.out, []byte("\r\n\r\n")); n != 1 {
			t.Errorf("%q has %d ends", h.out, n)
		}
	})
}
