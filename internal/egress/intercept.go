package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	reasonUntrusted = "the program does not accept the certificate: connections to a host that a secret is bound to are opened on the way, " +
		"under the authority that SSL_CERT_FILE and NODE_EXTRA_CA_CERTS name"
	reasonTunnel   = "CONNECT asks for a tunnel, in which any host could be named"
	reasonTarget   = "the request names neither a path nor a URL of the host"
	reasonTimes    = "placeholders of secrets are in the request too often"
	reasonSwitched = "the server changed to a protocol that the request did not ask for"
	reasonEncoded  = "the answer is encoded in a way in which secrets cannot be found"

	// fresh is how long a connection that was made ahead may wait for its first
	// request: servers close those that say nothing.
	fresh = 5 * time.Second
)

// interceptor is a proxy in one connection to a host that secrets are bound to.
// The guest's TLS ends here, and ours to the server begins, so that values can be
// put into requests and masked in answers. Both sides speak HTTP/1.1.
type interceptor struct {
	f       *flow
	host    string // as the server is to be told
	secrets []bound
	made    time.Time // when f.up was

	mu       sync.Mutex
	up       net.Conn // f.up until it is used
	handlers sync.WaitGroup
}

// intercept serves a flow whose host has secrets, until the guest has left.
func (f *flow) intercept(secrets []bound) {
	i := &interceptor{f: f, host: f.host, secrets: secrets, made: time.Now(), up: f.up}
	if f.port != httpsPort {
		i.host = net.JoinHostPort(f.host, strconv.Itoa(int(f.port)))
	}
	conn, err := i.handshake()
	if err != nil {
		f.abort()
	} else {
		i.serve(conn)
	}
	f.cancel() // of what is being dialled
	f.up.Close()
	f.guest.finish(f.touch)
}

// handshake is the guest's.
func (i *interceptor) handshake() (*tls.Conn, error) {
	f := i.f
	var wrong error // why the hello is refused
	offered := false
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			switch name := canonical(h.ServerName); {
			case h.ServerName == "":
				wrong = f.refuse(reasonNoSNI)
			case name != f.host:
				wrong = f.refuseAs(printable(name), reasonOtherSNI(f.host))
			default:
				offered = true
				return f.policy.authority.certificate(f.host)
			}
			return nil, wrong
		},
	}
	ctx, cancel := context.WithTimeout(f.ctx, f.policy.timeouts.Head)
	defer cancel()
	conn := tls.Server(&charged{f.guest, f}, config)
	err := conn.HandshakeContext(ctx)
	var header tls.RecordHeaderError
	switch {
	case err == nil:
		return conn, nil
	case wrong != nil, f.ctx.Err() != nil, errors.Is(err, errRefused), errors.Is(err, io.EOF) && !offered:
	case errors.As(err, &header):
		_ = f.refuse(errNoTLS.Error())
	case ctx.Err() != nil, os.IsTimeout(err):
		_ = f.refuse(reasonSlowHello)
	case offered: // by an alert, which OpenSSL sends in a way that looks like another error, or by leaving
		_ = f.refuse(reasonUntrusted)
	default:
		_ = f.refuse("the TLS handshake failed: " + printable(err.Error()))
	}
	return nil, err
}

// serve handles requests until the connection ends, and what they began.
func (i *interceptor) serve(conn net.Conn) {
	f := i.f
	transport := i.transport()
	defer transport.CloseIdleConnections()
	proxy := &httputil.ReverseProxy{
		Rewrite: i.rewrite, Transport: transport, FlushInterval: -1, ModifyResponse: i.modify, ErrorHandler: i.failed, ErrorLog: silent(),
	}
	once := newOnce(conn)
	server := &http.Server{
		ReadHeaderTimeout: f.policy.timeouts.Head, IdleTimeout: f.policy.timeouts.Idle, MaxHeaderBytes: maxHead, ErrorLog: silent(),
		BaseContext: func(net.Listener) context.Context { return f.ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			i.handlers.Add(1)
			defer i.handlers.Done()
			if i.admits(w, r) {
				// A server may answer while the request is still being sent.
				_ = http.NewResponseController(w).EnableFullDuplex() // which a server of ours can
				proxy.ServeHTTP(final{w}, r)
			}
		}),
	}
	_ = server.Serve(once) // until the connection has ended
	i.handlers.Wait()
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// admits refuses requests for somebody else.
func (i *interceptor) admits(w http.ResponseWriter, r *http.Request) bool {
	host, port := r.Host, strconv.Itoa(httpsPort)
	if h, p, err := net.SplitHostPort(r.Host); err == nil {
		host, port = h, p
	}
	switch {
	case r.Method == http.MethodConnect:
		i.refuse(w, http.StatusMethodNotAllowed, reasonTunnel)
	case r.URL.Opaque != "": // "https:http://other/", which would be sent on as http://other/
		i.refuse(w, http.StatusBadRequest, reasonTarget)
	case canonical(host) != i.f.host || port != strconv.Itoa(int(i.f.port)) && host != r.Host:
		_ = i.f.refuseAs(printable(r.Host), reasonOtherHost(i.f.host))
		answer(w, http.StatusMisdirectedRequest, reasonOtherHost(i.f.host))
	case i.times(r.Header) > mostTimes:
		i.refuse(w, http.StatusRequestHeaderFieldsTooLarge, reasonTimes)
	default:
		return true
	}
	return false
}

// times is how often placeholders would be replaced.
func (i *interceptor) times(h http.Header) (n int) {
	for _, s := range i.secrets {
		n += s.times(h)
	}
	return n
}

// refuse notes it and answers it.
func (i *interceptor) refuse(w http.ResponseWriter, code int, reason string) {
	_ = i.f.refuse(reason)
	answer(w, code, reason)
}

func answer(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Connection", "close")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, "tako: "+reason+"\n")
}

// rewrite makes the request that the server gets: the guest's, with values in
// the place of placeholders. Answers come as they are, so that values in them
// can be found.
func (i *interceptor) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	out.URL.Scheme, out.URL.Host, out.URL.RawQuery, out.Host = "https", i.host, r.In.URL.RawQuery, i.host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := r.In.Header[name]; values != nil { // a proxy would drop them: to the guest, this is none
			out.Header[name] = values
		}
	}
	out.Header.Set("Accept-Encoding", "identity")
	out.Header.Del("Range") // parts of an answer could be asked for that have a part of a value each
	out.Header.Del("If-Range")
	out.Header.Del("Sec-Websocket-Extensions")                      // which would compress
	if !strings.EqualFold(out.Header.Get("Upgrade"), "websocket") { // HTTP/2 would be, in which values are not found
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			out.Header.Del(name)
		}
	}
	for _, s := range i.secrets {
		s.fill(out.Header)
	}
}

// transport carries requests to the host, and nowhere else.
func (i *interceptor) transport() *http.Transport {
	return &http.Transport{
		DialTLSContext:     func(context.Context, string, string) (net.Conn, error) { return i.dial() },
		DisableCompression: true, MaxIdleConns: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 4 * maxHead,
		ExpectContinueTimeout: time.Second,
	}
}

// dial connects to the server and holds it against its name: the connection that
// was made when the guest's was, if it is fresh, else another.
func (i *interceptor) dial() (net.Conn, error) {
	f := i.f
	if !f.link.begin() { // the transport waits for nobody: the link does
		return nil, net.ErrClosed
	}
	defer f.link.flows.Done()
	ctx, cancel := context.WithTimeout(f.ctx, f.policy.timeouts.Dial)
	defer cancel()
	conn, err := i.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := tls.Client(conn, &tls.Config{ServerName: f.host, RootCAs: f.policy.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (i *interceptor) connect(ctx context.Context) (net.Conn, error) {
	i.mu.Lock()
	conn := i.up
	i.up = nil
	i.mu.Unlock()
	if conn != nil && time.Since(i.made) < fresh {
		return conn, nil
	}
	m, b := &i.f.link.meter, i.f.policy.budgets
	if reason := m.enter(b); reason != "" {
		return nil, errBudget{reason}
	}
	defer m.leave() // what counts as open is the guest's
	conn, err := i.f.policy.dial(ctx, i.f.host, i.f.port)
	if err != nil {
		return nil, err
	}
	return owned{conn, context.AfterFunc(i.f.ctx, func() { conn.Close() })}, nil
}

// owned is a connection that ends with its flow. The proxy forgets those on which
// the server changes the protocol in a way that it was not asked for.
type owned struct {
	net.Conn
	stop func() bool
}

func (o owned) Close() error {
	o.stop()
	return o.Conn.Close()
}

// errBudget is a budget that is spent.
type errBudget struct{ reason string }

func (e errBudget) Error() string { return e.reason }

// failed answers for a server that could not.
func (i *interceptor) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to be told
	}
	var bad *tls.CertificateVerificationError
	var budget errBudget
	reason := refusal(err)
	switch {
	case errors.As(err, &bad):
		reason = "the server's certificate is not one that this machine trusts: " + printable(bad.Err.Error())
	case errors.As(err, &budget):
		reason = budget.reason
	case errors.Is(err, errEncoded), errors.Is(err, errSwitched):
		reason = err.Error()
	}
	i.refuse(w, http.StatusBadGateway, reason)
}

var (
	errEncoded  = errors.New(reasonEncoded)
	errSwitched = errors.New(reasonSwitched)
)
