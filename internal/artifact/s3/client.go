package s3

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client makes signed requests to one bucket.
type client struct {
	place     place
	signer    signer
	transport http.RoundTripper
	own       *http.Transport // the transport, if it is ours to close
	attempts  int
	backoff   time.Duration
	timeout   time.Duration
	now       func() time.Time
}

func newClient(o Options, p place) *client {
	c := &client{
		place:     p,
		signer:    signer{accessKey: o.AccessKey, secretKey: o.SecretKey, token: o.SessionToken, region: p.region},
		transport: o.Transport, attempts: o.Attempts, backoff: o.Backoff, timeout: o.Timeout, now: o.Now,
	}
	if c.transport == nil {
		c.own = newTransport()
		c.transport = c.own
	}
	if c.attempts <= 0 {
		c.attempts = defaultAttempts
	}
	if c.backoff <= 0 {
		c.backoff = defaultBackoff
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// newTransport speaks HTTP/1.1 only, as every such service does: a transfer
// then has a connection for itself, and one that is given up costs no other.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   16,
	}
}

func (c *client) close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// request is what one asks of the bucket.
type request struct {
	method string
	key    string // of an object; empty is the bucket itself
	query  url.Values
	header map[string]string
	body   *upload // nil is none
}

// send makes a request until it has an answer that is not to be asked for
// again. One of success is answered; its body is the caller's to close. All
// else is a *failure, or the context's error.
func (c *client) send(ctx context.Context, r request) (resp *http.Response, err error) {
	err = c.retry(ctx, func() error {
		resp, err = c.once(ctx, r)
		return err
	})
	return resp, err
}

// finish sends a request whose answer has nothing to read.
func (c *client) finish(ctx context.Context, r request) (http.Header, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	discard(resp.Body)
	return resp.Header, nil
}

// retry calls try again while it says so, and waits in between.
func (c *client) retry(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		f := asFailure(err)
		if f == nil || !f.again {
			return err
		}
		if n >= c.attempts {
			f.again, f.attempts = false, n
			return f
		}
		if err := c.wait(ctx, n); err != nil {
			return err
		}
	}
}

// wait waits after the nth attempt that failed.
func (c *client) wait(ctx context.Context, n int) error {
	timer := time.NewTimer(waitAfter(n, c.backoff, rand.Float64()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// waitAfter answers how long to wait after the nth attempt. random is from 0
// to 1: many that failed together do not come again together.
func waitAfter(n int, first time.Duration, random float64) time.Duration {
	d := first
	for ; n > 1 && d < maxBackoff; n-- {
		d *= 2
	}
	d = min(d, max(first, maxBackoff))
	return d/2 + time.Duration(random*float64(d/2))
}

// once makes one attempt.
func (c *client) once(ctx context.Context, r request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	attempt, w := watchOver(ctx, c.timeout)
	req, err := c.build(attempt, r, w)
	if err != nil {
		w.end()
		return nil, &failure{err: &spoolError{err}}
	}
	// Not through an http.Client: it would follow redirects.
	w.arm()
	resp, err := c.transport.RoundTrip(req)
	if r.body != nil {
		if broken := r.body.revoke(); broken != nil && err != nil {
			err = broken
		}
	}
	w.rest()
	if err != nil {
		w.end()
		return nil, c.noAnswer(ctx, attempt, err)
	}
	resp.Body = &watched{body: resp.Body, w: w}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	return nil, c.refusal(ctx, resp)
}

// build makes a signed request.
func (c *client) build(ctx context.Context, r request, w *watch) (*http.Request, error) {
	path := c.place.path + r.key
	req := (&http.Request{
		Method: r.method,
		URL: &url.URL{
			Scheme: c.place.scheme, Host: c.place.host,
			Path: path, RawPath: encodePath(path), RawQuery: canonicalQuery(r.query),
		},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		// Unasked, a transport would have bytes compressed on the way, and their
		// number kept from us.
		Header: http.Header{"User-Agent": {"tako"}, "Accept-Encoding": {"identity"}},
	}).WithContext(ctx)
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	payload := emptySum
	if r.body != nil {
		payload = string(r.body.digest)
		body, err := r.body.attempt(w)
		if err != nil {
			return nil, err
		}
		req.Body, req.ContentLength = body, r.body.size
	}
	c.signer.sign(req, payload, c.now())
	return req, nil
}

// clean makes one printable line of what a stranger wrote, without the
// credentials that it may have repeated.
func (c *client) clean(text string) string {
	for _, secret := range []string{c.signer.secretKey, c.signer.token, c.signer.accessKey} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	const most = 200
	var b strings.Builder
	for _, c := range text {
		if b.Len() >= most {
			b.WriteString("...")
			break
		}
		if c < ' ' || c == 0x7f || c == '\ufffd' || c >= 0x80 && c < 0xa0 {
			c = ' '
		}
		b.WriteRune(c)
	}
	return strings.TrimSpace(b.String())
}
