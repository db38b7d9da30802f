package egress

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

// certificate is one for every name of the tests.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"a.example", "b.example"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// listenTLS serves address with TLS that says what it hears.
func (w *world) listenTLS(t testing.TB, address string, config *tls.Config) {
	w.listen(t, address, func(c *net.TCPConn) {
		s := tls.Server(c, config)
		_, _ = io.Copy(s, s)
		_ = s.CloseWrite()
	})
}

func TestTLS(t *testing.T) {
	cert := certificate(t)
	for name, tune := range map[string]func(client, server *tls.Config){
		"1.3":             func(_, _ *tls.Config) {},
		"1.2":             func(c, _ *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		"a retried hello": func(_, s *tls.Config) { s.CurvePreferences = []tls.CurveID{tls.CurveP521} },
		"upper case":      func(c, _ *tls.Config) { c.ServerName = "A.Example" },
		"1.2, named groups": func(c, s *tls.Config) {
			s.MaxVersion = tls.VersionTLS12
			s.CurvePreferences = []tls.CurveID{tls.CurveP521}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := &tls.Config{Certificates: []tls.Certificate{cert}}
			client := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			tune(client, server)
			w := newWorld()
			w.listenTLS(t, "1.1.1.1:443", server)
			for _, n := range []job.Network{allow("a.example"), {Mode: job.NetworkPublic}} {
				g := newGuest(t, n, w.options())
				for range 3 { // sessions are resumed
					c := tls.Client(g.mustDial("a.example", 443), client)
					text := bytes.Repeat([]byte("hello"), 20_000)
					go func() { _, _ = c.Write(text); _ = c.CloseWrite() }()
					got, err := io.ReadAll(c)
					if err != nil || !bytes.Equal(got, text) {
						t.Fatalf("%d bytes, %v; %+v", len(got), err, g.link.Report())
					}
					c.Close()
				}
				if d := g.link.Report().Denied; len(d) > 0 {
					t.Errorf("denied: %+v", d)
				}
			}
		})
	}
}

// clientHello is the first thing that Go's client says, changed by config.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	config.InsecureSkipVerify = true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = tls.Client(there, config).HandshakeContext(ctx); there.Close() })
	head := make([]byte, recordHeader)
	if _, err := io.ReadFull(here, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(here, body); err != nil {
		t.Fatal(err)
	}
	here.Close()
	return append(head, body...)
}

// inRecords cuts the message of a hello into records of size.
func inRecords(hello []byte, size int) []byte {
	var out []byte
	for part := range slices.Chunk(hello[recordHeader:], size) {
		out = append(out, recordHandshake, 3, 1, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

// makeHello builds a hello from extensions.
func makeHello(extensions ...[]byte) []byte {
	list := slices.Concat(extensions...)
	body := append(make([]byte, 0, 100), 3, 3)
	body = append(body, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0, byte(len(list)>>8), byte(len(list)))
	body = append(body, list...)
	out := []byte{recordHandshake, 3, 1, byte((len(body) + 4) >> 8), byte(len(body) + 4), messageHello, 0, byte(len(body) >> 8), byte(len(body))}
	return append(out, body...)
}

func extension(kind uint16, body []byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind), byte(len(body) >> 8), byte(len(body))}, body...)
}

func sni(name string) []byte {
	n := len(name)
	return extension(extServerName, append([]byte{byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, name...))
}

func TestBypassOfTLS(t *testing.T) {
	a := allow("a.example", "*.wild.example")
	goHello := func(name string) string { return string(clientHello(t, &tls.Config{ServerName: name})) }
	both := append(sni("a.example"), 0)[4:]
	two := append([]byte{0, byte(2 * (len(both) - 3))}, append(both[2:len(both)-1], both[2:len(both)-1]...)...)
	says := func(text string) func(*guest) error { return say("a.example", 443, text) }
	runBypasses(t, []bypass{
		{name: "another name", network: a, try: says(goHello("b.example") + secret), host: "b.example", port: 443, reason: reasonOtherSNI("a.example")},
		{name: "another name, public", network: job.Network{Mode: job.NetworkPublic}, try: says(goHello("b.example") + secret), host: "b.example", port: 443, reason: reasonOtherSNI("a.example")},
		{name: "a name below", network: a, try: says(goHello("x.a.example") + secret), host: "x.a.example", port: 443, reason: reasonOtherSNI("a.example")},
		{name: "another name that is allowed, too", network: allow("a.example", "b.example"), try: says(goHello("b.example") + secret), host: "b.example", port: 443, reason: reasonOtherSNI("a.example")},
		{name: "no name", network: a, try: says(goHello("") + secret), host: "a.example", port: 443, reason: reasonNoSNI},
		{name: "another name in small records", network: a, try: says(string(inRecords(clientHello(t, &tls.Config{ServerName: "b.example"}), 7)) + secret), host: "b.example", port: 443, reason: reasonOtherSNI("a.example")},
		{name: "two names", network: a, try: says(string(makeHello(sni("a.example"), sni("b.example"))) + secret), host: "a.example", port: 443, reason: errBadHello.Error()},
		{name: "two names in one list", network: a, try: says(string(makeHello(extension(extServerName, two))) + secret), host: "a.example", port: 443, reason: errBadHello.Error()},
		{name: "a name with a NUL", network: a, try: says(string(makeHello(sni("a.example\x00.b.example"))) + secret), host: "a.example?.b.example", port: 443, reason: reasonOtherSNI("a.example")},
		{name: "an encrypted hello", network: a, try: says(string(makeHello(sni("a.example"), extension(extECH, []byte(secret))))), host: "a.example", port: 443, reason: reasonECH},
		{name: "an encrypted name", network: a, try: says(string(makeHello(sni("a.example"), extension(extEncryptedSNI, []byte(secret))))), host: "a.example", port: 443, reason: reasonECH},
		{name: "no TLS", network: a, try: says("SSH-2.0-" + secret + "\r\n"), host: "a.example", port: 443, reason: errNoTLS.Error()},
		{name: "HTTP on the port of TLS", network: a, try: says("GET /" + secret + " HTTP/1.1\r\nHost: a.example\r\n\r\n"), host: "a.example", port: 443, reason: errNoTLS.Error()},
		{name: "SSL 2", network: a, try: says("\x80\x2e\x01\x03\x01" + secret), host: "a.example", port: 443, reason: errNoTLS.Error()},
		{name: "not a hello", network: a, try: says("\x16\x03\x01\x00\x08\x02\x00\x00\x04" + secret), host: "a.example", port: 443, reason: errBadHello.Error()},
		{name: "a hello without end", network: a, try: says("\x16\x03\x01\x40\x00\x01\x00\xff\xff" + strings.Repeat("x", 100_000)), host: "a.example", port: 443, reason: errBadHello.Error()},
		{name: "something behind the hello in its record", network: a, try: says(string(with(append(makeHello(sni("a.example")), secret...), func(b []byte) { b[4] += byte(len(secret)) }))), host: "a.example", port: 443, reason: errBadHello.Error()},
		{name: "an empty record", network: a, try: says("\x16\x03\x01\x00\x00" + goHello("a.example")), host: "a.example", port: 443, reason: errBadHello.Error()},
		{name: "a hello that does not come", network: a, try: says("\x16\x03\x01"), host: "a.example", port: 443, reason: reasonSlowHello},
		{name: "a second hello for another name", network: a, try: func(g *guest) error {
			c := g.mustDial("a.example", 443)
			defer c.Close()
			if _, err := c.Write(makeHello(sni("a.example"))); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, make([]byte, 50)); err != nil {
				return err
			}
			if _, err := c.Write(append([]byte{20, 3, 3, 0, 1, 1}, append(makeHello(sni("b.example")), secret...)...)); err != nil {
				return err
			}
			_, err := c.Read(make([]byte, 1))
			return err
		}, world: func(w *world) {
			w.listen(t, "1.1.1.1:443", func(c *net.TCPConn) {
				_, _ = c.Read(make([]byte, 4096))
				random := retryRandom()
				_, _ = c.Write(slices.Concat([]byte{recordHandshake, 3, 3, 0, 45, messageServer, 0, 0, 41, 3, 3}, random[:], make([]byte, 7)))
				got, _ := io.ReadAll(c)
				if bytes.Contains(got, []byte("b.example")) {
					t.Error("the server saw the other name")
				}
			})
		}, host: "b.example", port: 443, reason: reasonOtherSNI("a.example")},
	})
}

// A guest that leaves without a word has done nothing wrong.
func TestQuietTLS(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:443", echo)
	g := newGuest(t, allow("a.example"), w.options())
	c := g.mustDial("a.example", 443)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	c.Close()
	if d := g.link.Report().Denied; len(d) > 0 {
		t.Errorf("denied: %+v", d)
	}
}

// Browsers send an extension that looks like an encrypted hello in every one.
// Where each name is allowed there is nothing to hide.
func TestECHInPublicMode(t *testing.T) {
	w, e := newWorld(), &eager{}
	w.listen(t, "1.1.1.1:443", e.serve)
	g := newGuest(t, job.Network{Mode: job.NetworkPublic}, w.options())
	if err := say("a.example", 443, string(makeHello(sni("a.example"), extension(extECH, []byte("\r\n\r\n")))))(g); err != nil {
		t.Errorf("%v: %+v", err, g.link.Report())
	}
}

func FuzzHello(f *testing.F) {
	f.Add(makeHello(sni("a.example")))
	f.Add(makeHello(sni("a.example"), extension(extECH, nil)))
	f.Add(inRecords(makeHello(sni("a.example")), 3))
	f.Add(clientHello(f, &tls.Config{ServerName: "a.example", NextProtos: []string{"h2", "http/1.1"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, raw, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(b, raw) {
			t.Fatal("what is passed on is not what came")
		}
		// What Go's server understands of it is what we did.
		var seen *tls.ClientHelloInfo
		stop := errors.New("seen")
		here := &pipeEnd{Reader: bytes.NewReader(b)}
		_ = tls.Server(here, &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) { seen = i; return nil, stop }}).Handshake()
		if seen != nil && seen.ServerName != strings.TrimSuffix(h.name, ".") && seen.ServerName != h.name {
			t.Fatalf("we read %q, Go reads %q", h.name, seen.ServerName)
		}
	})
}

// pipeEnd is a connection that has said all and hears nothing.
type pipeEnd struct {
	net.Conn
	io.Reader
}

func (p *pipeEnd) Read(b []byte) (int, error)       { return p.Reader.Read(b) }
func (p *pipeEnd) Write(b []byte) (int, error)      { return len(b), nil }
func (p *pipeEnd) SetDeadline(time.Time) error      { return nil }
func (p *pipeEnd) SetWriteDeadline(time.Time) error { return nil }
func (p *pipeEnd) Close() error                     { return nil }
