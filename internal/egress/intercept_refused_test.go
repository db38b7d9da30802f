package egress

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is not a request to the host that was dialled gets no value, and the
// record says why.
func TestSecretRefused(t *testing.T) {
	w := newWorld()
	s := w.serveTLS(t, "1.1.1.1:443", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/br" {
			rw.Header().Set("Content-Encoding", "br")
			fmt.Fprint(rw, "?")
		}
	})
	stranger := newWorld().serveTLS(t, "", func(http.ResponseWriter, *http.Request) {})
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for name, tt := range map[string]struct {
		url    string
		tune   func(*http.Request)
		trust  *service
		status int
		host   string
		reason string
		asked  bool
	}{
		"another host": {"https://a.example/", host("b.example"), s, 421, "b.example", "but a.example was dialled", false},
		"another port": {"https://a.example/", host("a.example:444"), s, 421, "a.example:444", "but a.example was dialled", false},
		"another inside": {"https://a.example/", func(r *http.Request) { r.URL.Opaque = "https:http://b.example/" }, s, 400, "a.example",
			reasonTarget, false},
		"too many placeholders": {"https://a.example/", func(r *http.Request) { r.Header.Set("Authorization", strings.Repeat(placeholder, 1000)) }, s, 431,
			"a.example", reasonTimes, false},
		"too many, encoded": {"https://a.example/", func(r *http.Request) { r.SetBasicAuth(strings.Repeat(placeholder, 1000), "") }, s, 431,
			"a.example", reasonTimes, false},
		"a certificate":       {"https://a.example/", nil, stranger, 502, "a.example", "the server's certificate is not one that this machine trusts", false},
		"an unknown encoding": {"https://a.example/br", nil, s, 502, "a.example", "encoded in a way in which secrets cannot be found", true},
	} {
		t.Run(name, func(t *testing.T) {
			s.sent = nil
			o := w.withSecret(t, bearer(), tt.trust)
			g := newGuest(t, allow("a.example"), o)
			r := request(t, tt.url, "Authorization", placeholder)
			if tt.tune != nil {
				tt.tune(r)
			}
			status, _, body := g.ask(g.trusting(o), r)
			if status != tt.status || !strings.Contains(body, tt.reason) {
				t.Errorf("%d: %s", status, body)
			}
			g.wantDenied(tt.host, 443, tt.reason)
			if (len(s.sent) > 0) != tt.asked {
				t.Errorf("the server got %q", s.sent)
			}
		})
	}
}

// Who begins in another way than a client that trusts its sandbox is told why.
func TestSecretHello(t *testing.T) {
	w := newWorld()
	s := w.serveTLS(t, "1.1.1.1:443", func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })
	o := w.withSecret(t, bearer(), s)
	o.Timeouts.Head = 200 * time.Millisecond
	roots := pool(t, o.Authority.cert.Raw)
	for name, tt := range map[string]struct {
		say    func(c net.Conn)
		host   string
		reason string
	}{
		"another name": {func(c net.Conn) { _ = tls.Client(c, &tls.Config{ServerName: "b.example", RootCAs: roots}).Handshake() }, "b.example", "but a.example was dialled"},
		"no name":      {func(c net.Conn) { _ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() }, "a.example", "no SNI"},
		"no trust": {func(c net.Conn) {
			_ = tls.Client(c, &tls.Config{ServerName: "a.example", RootCAs: x509.NewCertPool()}).Handshake()
		}, "a.example", "does not accept the certificate"},
		"no TLS":  {func(c net.Conn) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")) }, "a.example", errNoTLS.Error()},
		"nothing": {func(net.Conn) {}, "a.example", reasonSlowHello},
		"an old version": {func(c net.Conn) {
			_ = tls.Client(c, &tls.Config{ServerName: "a.example", RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		}, "a.example", "the TLS handshake failed"},
		"a tunnel": {func(c net.Conn) {
			fmt.Fprint(tls.Client(c, &tls.Config{ServerName: "a.example", RootCAs: roots}), "CONNECT b.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n")
		}, "a.example", reasonTunnel},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, allow("a.example"), o)
			c := g.mustDial("a.example", 443)
			defer c.Close()
			tt.say(c)
			g.wantDenied(tt.host, 443, tt.reason)
			if name == "a tunnel" {
				return
			}
			if _, err := io.Copy(io.Discard, c); err == nil && name != "no trust" {
				t.Error("the connection ended as if all was well")
			}
		})
	}
}
