package egress

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// BenchmarkSecret measures requests to a host that a secret is bound to beside
// those to one that has none, and those of a client without a sandbox: with a
// connection that stays, and with one for each.
func BenchmarkSecret(b *testing.B) {
	body := make([]byte, 16<<10)
	serve := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	w := newWorld()
	s, plain := w.serveTLS(b, "1.1.1.1:443", serve), w.serveTLS(b, "1.1.1.2:443", serve)
	o := w.withSecret(b, bearer(), s)
	o.Budgets = Budgets{BytesIn: 1 << 60, BytesOut: 1 << 60, Connections: 1 << 30}
	g := newGuest(b, job.Network{Mode: job.NetworkPublic}, o)
	inside := g.trusting(o, plain.TLS.Certificates[0].Certificate[0])
	outside := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: pool(b, plain.TLS.Certificates[0].Certificate[0]), ServerName: "b.example"}}}
	b.Cleanup(outside.CloseIdleConnections)
	for _, way := range []struct {
		name   string
		client *http.Client
		url    string
	}{
		{"direct", outside, "https://" + plain.Listener.Addr().String()}, {"relayed", inside, "https://b.example/"}, {"secret", inside, "https://a.example/"},
	} {
		for _, kept := range []bool{true, false} {
			name := map[bool]string{true: "/kept", false: "/new"}[kept]
			b.Run(way.name+name, func(b *testing.B) {
				for b.Loop() {
					r := request(b, way.url, "Authorization", "Bearer "+placeholder)
					r.Close = !kept
					res, err := way.client.Do(r)
					if err != nil {
						b.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			})
		}
	}
}
