package tako

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Defaults of Options.
const (
	defaultTimeout = 30 * time.Second
	defaultRetries = 3
)

const (
	// maxAnswer bounds an answer in JSON, maxErrorAnswer one that is an error.
	maxAnswer      = 128 << 20
	maxErrorAnswer = 1 << 20
	// maxPause is the longest wait before a call is repeated. A server that
	// asks for a longer one is obeyed by not repeating it.
	maxPause = 30 * time.Second
)

// Options are all optional.
type Options struct {
	// APIKey is sent with every call. It is read from nowhere else.
	APIKey string
	// HTTPClient makes the calls; default: one of its own. Its Timeout would cut
	// event streams and long jobs, so leave it at zero.
	HTTPClient *http.Client
	// Timeout bounds calls that the server answers at once: 30 s by default,
	// none when negative.
	Timeout time.Duration
	// Retries is how often a call is repeated at most: 3 by default, never when
	// negative.
	Retries int
	// UserAgent is sent with every call; default "tako-go".
	UserAgent string
	// CorrelationID is sent with every call, to find it in the server's log and
	// in records: 1 to 64 printable ASCII characters. By default the server
	// makes one for each.
	CorrelationID string
}

// Client talks to one server. It may be used by many goroutines at once.
type Client struct {
	base    *url.URL
	shown   string // base as it was given
	options Options
	http    *http.Client
}

// New makes a client of the server at baseURL, such as "http://localhost:8000",
// or "unix:///run/tako.sock" for one that listens on a Unix socket.
// Nothing is sent before the first call.
func New(baseURL string, o Options) (*Client, error) {
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"API key": o.APIKey, "user agent": o.UserAgent, "correlation id": o.CorrelationID} {
		if strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Errorf("the %s holds control characters", name) // not the value: it may be the key
		}
	}
	o.APIKey = strings.TrimSpace(o.APIKey)
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Retries == 0 {
		o.Retries = defaultRetries
	}
	if o.UserAgent == "" {
		o.UserAgent = "tako-go"
	}
	c := &Client{base: base, options: o, shown: base.Redacted()}
	if base.Scheme == "unix" {
		if o.HTTPClient != nil {
			return nil, errors.New("a server on a Unix socket is talked to without another HTTP client")
		}
		path := base.Path
		c.http = httpClient(&http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		}})
		c.base = &url.URL{Scheme: "http", Host: "localhost"}
		return c, nil
	}
	c.http = httpClient(o.HTTPClient)
	return c, nil
}

// URL is the server's, without a password.
func (c *Client) URL() string { return c.shown }

func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the server's URL is not a URL") // the error has it in full, with a password
	}
	if u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/") && u.RawQuery == "" && u.Fragment == "" {
		return u, nil
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("the server's URL %q does not look like http://localhost:8000", u.Redacted())
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the server's URL %q has a query or a fragment", u.Redacted())
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// httpClient is given, or one of our own. Redirects are not followed unless
// given says so: they would lose the body or take the key elsewhere.
func httpClient(given *http.Client) *http.Client {
	if given == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
		given = &http.Client{Transport: transport}
	}
	own := *given
	if own.CheckRedirect == nil {
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &own
}
