package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// patience is how long a registry may be silent: before it answers, and between
// two pieces of an answer.
const patience = time.Minute

func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: patience,
		IdleConnTimeout:       30 * time.Second,
		// Layers are compressed; what is not, is hashed as it is.
		DisableCompression: true,
	}
}

// loopback reports a host that is this machine, whatever a resolver says.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// guarded lets plain HTTP go to this machine only, and only on behalf of a
// registry that is on it: no other may send us, or the password, there by a
// redirect or a challenge.
type guarded struct {
	inner http.RoundTripper
	local bool // the registry is on this machine
}

// errPlain is plain HTTP to where it must not go.
var errPlain = errors.New("plain HTTP is for registries on this machine only")

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (!g.local || !loopback(r.URL.Hostname())) {
		return nil, fmt.Errorf("%s://%s: %w", r.URL.Scheme, r.URL.Host, errPlain)
	}
	return g.inner.RoundTrip(r)
}

// lively ends a body that says nothing for a while.
type lively struct {
	io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
}

func newLively(body io.ReadCloser, cancel context.CancelFunc) *lively {
	return &lively{body, cancel, time.AfterFunc(patience, cancel)}
}

func (l *lively) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	l.timer.Reset(patience)
	return n, err
}

func (l *lively) Close() error {
	l.timer.Stop()
	err := l.ReadCloser.Close()
	l.cancel()
	return err
}
