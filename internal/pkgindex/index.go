package pkgindex

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
)

// Host is the name under which a sandbox reaches the gateway, on port 80.
const Host = "packages.tako"

// Where its clients find the simple repository API, and npm's registry.
const (
	URL    = "http://" + Host + "/simple/"
	NPMURL = "http://" + Host + "/npm/"
)

// Limits of what is fetched, in bytes.
const (
	maxPage = 64 << 20 // of the largest projects there are pages of 30 MB
	maxFile = 4 << 30
	// maxLinks bounds the files of one project.
	maxLinks = 100_000
	// maxProjects and maxPages bound what one installation may look at: how many
	// projects, and how large their pages are together.
	maxProjects = 5000
	maxPages    = 256 << 20
)

// silence is how long an index may take to answer, or to go on; patience how long
// a page may take in all.
const (
	silence  = 60 * time.Second
	patience = 10 * time.Minute
)

// Options say where packages come from.
type Options struct {
	// Indexes are simple repository APIs, the first one first; their URLs may
	// hold a user and a password.
	Indexes []*url.URL
	// NPM, if not nil, is a registry of npm packages. Its URL may hold a user and a
	// password, or a token in the place of the user.
	NPM *url.URL
	// Wheels, if not empty, is a directory of wheels, and of npm packages as npm
	// pack makes them, that come before all these.
	Wheels string
	// Sources lets source distributions through.
	Sources bool
	// Proxy, if not nil, is how the indexes are reached.
	Proxy *url.URL
	// Guard judges where links lead that leave the host of their index.
	Guard *netguard.Guard
	// Transport is for tests; nil is one of our own.
	Transport http.RoundTripper
}

// Gateway serves one installation.
type Gateway struct {
	o      Options
	client *http.Client
	wheels *os.Root // nil where there is none

	reading, asking chan struct{} // a turn at pages and at npm's, so that few are in memory
	packed          func() (map[string]packument, error)

	mu    sync.Mutex
	pages map[string][]byte // that were served, by path; nil where there is none
	size  int               // of all of them
	files []target          // by the number in our links
	npms  map[string]target // files of npm packages, by their path
	sums  map[string]string // SHA-256 of the files that were handed out, by name
	fault error             // the first thing that an index could not do
}

// Of npm's pages, which are small, clients ask for many at once.
const maxAsking = 4

// target is where a file comes from.
type target struct {
	url   *url.URL // nil: the directory
	name  string
	hash  string   // "sha256=...", as the page had it; or empty
	index *url.URL // whose page had it
}

// New returns a gateway. The caller closes it.
func New(o Options) (*Gateway, error) {
	g := &Gateway{o: o, pages: map[string][]byte{}, npms: map[string]target{}, sums: map[string]string{}, reading: make(chan struct{}, 1), asking: make(chan struct{}, maxAsking)}
	g.packed = sync.OnceValues(g.readPacked)
	if o.Wheels != "" {
		root, err := os.OpenRoot(o.Wheels)
		if err != nil {
			return nil, job.Errorf(job.KindConfig, "the directory of wheels: %w", err)
		}
		g.wheels = root
	}
	transport := o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy, t.ResponseHeaderTimeout, t.DialContext = nil, silence, g.dial
		if o.Proxy != nil {
			t.Proxy = http.ProxyURL(o.Proxy)
		}
		transport = t
	}
	g.client = &http.Client{Transport: transport, CheckRedirect: g.redirect}
	return g, nil
}

// Close lets go of the directory and of connections.
func (g *Gateway) Close() error {
	g.client.CloseIdleConnections()
	if g.wheels != nil {
		return g.wheels.Close()
	}
	return nil
}

// Fault is why an index did not answer as it should, the first time that one
// did not; nil when all of them did. A project that is not there is no fault.
func (g *Gateway) Fault() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fault
}

func (g *Gateway) fail(index *url.URL, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault == nil {
		what := "package index"
		if index == g.o.NPM {
			what = "npm registry"
		}
		g.fault = job.Errorf(job.KindUnavailable, "the %s %s does not answer: %w", what, shown(index), plain(err))
	}
}

// shown is what others may know of a URL: tokens stand in users, paths and
// queries.
func shown(u *url.URL) string { return u.Scheme + "://" + u.Host }

// dial connects to an index, or to a proxy, as they were configured, and to
// others as the guard allows it: the address that is judged is the one that is
// dialled.
func (g *Gateway) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for _, u := range append([]*url.URL{g.o.Proxy, g.o.NPM}, g.o.Indexes...) {
		if u != nil && strings.EqualFold(address, withPort(u)) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}
	}
	if g.o.Guard == nil {
		return nil, job.Errorf(job.KindInvalid, "%s is not an index", address)
	}
	return g.o.Guard.DialContext(ctx, network, address)
}

// withPort is the host and port that a URL means.
func withPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080"}
	return net.JoinHostPort(u.Hostname(), ports[u.Scheme])
}

// plain leaves the URL, which may hold a password, out of an error.
func plain(err error) error {
	if ue, ok := err.(*url.Error); ok { //nolint:errorlint // the outermost one says the URL
		return ue.Err
	}
	return err
}

// key follows an index's credentials and the link's index through redirects.
type key struct{}

// request asks for what is at u, for a page of index or a link on one.
func (g *Gateway) request(ctx context.Context, u, index *url.URL, accept string) (*http.Response, error) {
	if err := g.mayFetch(ctx, u, index); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(context.WithValue(ctx, key{}, index), http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "tako")
	if accept == anything {
		req.Header.Set("Accept-Encoding", "identity") // a file is what it is
	}
	if u.User == nil && sameHost(u, index) {
		g.authorize(req, index)
	}
	return g.patiently(ctx, cancel, req)
}

// authorize gives a request the credentials of an index. npm's have tokens.
func (g *Gateway) authorize(req *http.Request, index *url.URL) {
	if index.User == nil {
		return
	}
	password, given := index.User.Password()
	if index == g.o.NPM && !given {
		req.Header.Set("Authorization", "Bearer "+index.User.Username())
		return
	}
	req.SetBasicAuth(index.User.Username(), password)
}

// redirect judges where an answer sends us. Credentials do not go along to
// another host.
func (g *Gateway) redirect(req *http.Request, via []*http.Request) error {
	const most = 5
	index, _ := req.Context().Value(key{}).(*url.URL)
	if len(via) > most || index == nil {
		return http.ErrUseLastResponse
	}
	if !sameHost(req.URL, index) {
		req.Header.Del("Authorization")
	}
	return g.mayFetch(req.Context(), req.URL, index)
}

// mayFetch reports why u may not be fetched for an index.
func (g *Gateway) mayFetch(ctx context.Context, u, index *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return job.Errorf(job.KindInvalid, "%s is not a web address", shown(u))
	case sameHost(u, index):
		return nil
	case u.Scheme != "https" && index.Scheme == "https":
		return job.Errorf(job.KindInvalid, "%s is not https, as its index is", shown(u))
	case g.o.Guard == nil:
		return job.Errorf(job.KindInvalid, "%s is not on the host of its index", shown(u))
	}
	_, err := g.o.Guard.Resolve(ctx, "tcp", u.Hostname())
	return err
}

func sameHost(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}
