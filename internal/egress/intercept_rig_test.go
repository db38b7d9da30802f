package egress

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/takovm/tako/internal/job"
)

const (
	secretValue = "sk-live-0123456789"
	placeholder = "tako-secret.API_KEY.placeholder"
	stars       = "******************"
)

// service is a server that a secret is bound to. It remembers what it was sent.
type service struct {
	*httptest.Server
	mu   sync.Mutex
	sent []http.Header
}

// serveTLS serves address by HTTPS with a certificate for a.example and b.example.
func (w *world) serveTLS(t testing.TB, address string, handle http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.sent = append(s.sent, r.Header.Clone())
		s.mu.Unlock()
		handle(rw, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	s.Config.ErrorLog = silent()
	s.StartTLS()
	t.Cleanup(s.Close)
	w.servers[address] = s.Listener.Addr().String()
	return s
}

func (s *service) last(t testing.TB) http.Header {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		t.Fatal("the server was asked nothing")
	}
	return s.sent[len(s.sent)-1]
}

func pool(t testing.TB, der ...[]byte) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	for _, d := range der {
		c, err := x509.ParseCertificate(d)
		if err != nil {
			t.Fatal(err)
		}
		p.AddCert(c)
	}
	return p
}

// withSecret has API_KEY bound to host; servers are trusted whose certificates
// are in roots.
func (w *world) withSecret(t testing.TB, b job.SecretBinding, services ...*service) Options {
	t.Helper()
	o := w.options()
	authority, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var ders [][]byte
	for _, s := range services {
		ders = append(ders, s.TLS.Certificates[0].Certificate[0])
	}
	o.Authority, o.Roots = authority, pool(t, ders...)
	o.Secrets = []Secret{{b, secretValue}}
	return o
}

func bearer() job.SecretBinding { return job.SecretBinding{Name: "API_KEY", Host: "a.example"} }

// trusting is a client in the guest that trusts what its sandbox is told to.
func (g *guest) trusting(o Options, more ...[]byte) *http.Client {
	c := g.client()
	roots := pool(g.t, append(more, o.Authority.cert.Raw)...)
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func (g *guest) ask(c *http.Client, r *http.Request) (int, http.Header, string) {
	g.t.Helper()
	res, err := c.Do(r)
	if err != nil {
		g.t.Fatalf("%v; %+v", err, g.link.Report())
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatalf("%v; %+v", err, g.link.Report())
	}
	for name, values := range res.Trailer {
		res.Header[name] = values
	}
	return res.StatusCode, res.Header, string(body)
}

func request(t testing.TB, url string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("the body has "+placeholder))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}
