package egress

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// odd is a server that answers each connection's request with what answer says,
// and then waits for the end of it.
type odd struct {
	*service
	heads chan string // of requests
	ended chan struct{}
}

func (w *world) odd(t testing.TB, address string, answer func(n int) string) *odd {
	t.Helper()
	s := &odd{service: w.serveTLS(t, address, nil), heads: make(chan string, 100), ended: make(chan struct{}, 100)}
	n := 0
	var mu sync.Mutex
	w.listen(t, address, func(conn *net.TCPConn) {
		c := tls.Server(conn, s.TLS)
		r := bufio.NewReader(c)
		head := ""
		for line := ""; line != "\r\n"; head += line {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		mu.Lock()
		text := answer(n)
		n++
		mu.Unlock()
		s.heads <- head
		fmt.Fprint(c, text)
		_, _ = io.Copy(io.Discard, r)
		s.ended <- struct{}{}
	})
	return s
}

// open is a connection of the guest to a.example.
func (g *guest) open(o Options) *tls.Conn {
	return tls.Client(g.mustDial("a.example", 443), &tls.Config{ServerName: "a.example", RootCAs: pool(g.t, o.Authority.cert.Raw)})
}

// A connection becomes a websocket or stays HTTP/1.1: in HTTP/2 values would not
// be found, since the guest chooses how much comes in a piece.
func TestSecretNoUpgrade(t *testing.T) {
	w := newWorld()
	s := w.odd(t, "1.1.1.1:443", func(int) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" })
	o := w.withSecret(t, bearer(), s.service)
	g := newGuest(t, allow("a.example"), o)
	c := g.open(o)
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nAuthorization: %s\r\n\r\n", placeholder)
	if head := strings.ToLower(<-s.heads); !strings.Contains(head, secretValue) || strings.Contains(head, "upgrade") || strings.Contains(head, "http2") {
		t.Errorf("the server got %q", head)
	}
}

// What a server says in the first line of an answer does not come back.
func TestSecretStatus(t *testing.T) {
	for _, code := range []string{"101", "200"} {
		w := newWorld()
		s := w.odd(t, "1.1.1.1:443", func(int) string {
			return "HTTP/1.1 " + code + " " + secretValue + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
		})
		o := w.withSecret(t, bearer(), s.service)
		g := newGuest(t, allow("a.example"), o)
		c := g.open(o)
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+code) || strings.Contains(line, secretValue) {
			t.Errorf("%q, %v", line, err)
		}
		c.Close()
	}
}

// Fields that are given twice, or ahead, are seen as well.
func TestSecretFields(t *testing.T) {
	for name, tt := range map[string]struct{ answer, want string }{
		"two encodings": {"Content-Encoding: identity\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 502"},
		"a trailer":     {"Trailer: 0123456789\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n0123456789: x\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			s := w.odd(t, "1.1.1.1:443", func(int) string { return "HTTP/1.1 200 OK\r\n" + tt.answer })
			o := w.withSecret(t, bearer(), s.service)
			o.Secrets[0].Value = "0123456789"
			g := newGuest(t, allow("a.example"), o)
			c := g.open(o)
			defer c.Close()
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
			text, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(text), tt.want) || strings.Contains(string(text), "0123456789") {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// A connection to the server ends with the guest's, whatever came of it.
func TestSecretLeavesNone(t *testing.T) {
	w := newWorld()
	s := w.odd(t, "1.1.1.1:443", func(n int) string {
		if n == 0 {
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		}
		return "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"
	})
	o := w.withSecret(t, bearer(), s.service)
	g := newGuest(t, allow("a.example"), o)
	c := g.open(o)
	for range 2 {
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	}
	_, _ = io.Copy(io.Discard, c)
	c.Close()
	for range 2 {
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			t.Fatal("a connection is left")
		}
	}
}
