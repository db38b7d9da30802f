package egress

import (
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// modify masks values in the answer of a server: in its header, its body as it
// passes, and its trailer.
func (i *interceptor) modify(r *http.Response) error {
	if asked := r.Request.Header.Get("Upgrade"); r.StatusCode == http.StatusSwitchingProtocols &&
		(asked == "" || !strings.EqualFold(asked, r.Header.Get("Upgrade"))) {
		return errSwitched // closes the connection, which a proxy would leave to itself
	}
	body := io.ReadCloser(r.Body)
	switch coding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ","))); coding {
	case "", "identity":
	case "gzip", "x-gzip": // which was not asked for
		if r.Request.Method == http.MethodHead || r.StatusCode == http.StatusNotModified {
			break
		}
		body = &unpacked{ReadCloser: r.Body}
		r.Header.Del("Content-Encoding")
		r.Header.Del("Content-Length")
		r.ContentLength = -1
	default:
		return errEncoded
	}
	r.Status = "" // a text of the server's, which is written where the protocol changes
	i.maskHeader(r.Header)
	i.maskHeader(r.Trailer) // names that are announced
	masked := &maskedBody{Reader: i.f.policy.masker.Reader(body), Closer: body, i: i, r: r}
	r.Body = masked
	if w, ok := body.(io.ReadWriteCloser); ok && r.StatusCode == http.StatusSwitchingProtocols {
		r.Body = duplex{masked, w}
	}
	return nil
}

func (i *interceptor) maskHeader(h http.Header) {
	for name, values := range h {
		for n, v := range values {
			values[n] = i.f.policy.masker.String(v)
		}
		if masked := i.f.policy.masker.String(name); masked != name {
			delete(h, name)
		}
	}
}

// maskedBody masks what a server sends, and at its end the trailer.
type maskedBody struct {
	io.Reader
	io.Closer
	i *interceptor
	r *http.Response
}

func (b *maskedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		b.i.maskHeader(b.r.Trailer)
	}
	return n, err
}

// duplex is the body of a connection that has changed its protocol: what comes
// back is masked, what goes out is the guest's.
type duplex struct {
	*maskedBody
	io.Writer
}

// unpacked reads gzip. The reader is made when something is read, since making
// it waits for the first bytes.
type unpacked struct {
	io.ReadCloser
	z *gzip.Reader
}

func (u *unpacked) Read(p []byte) (n int, err error) {
	if u.z == nil {
		if u.z, err = gzip.NewReader(u.ReadCloser); err != nil {
			return 0, err
		}
	}
	return u.z.Read(p)
}

// final passes final answers only: what a server says before one (1xx) is not
// masked, and nobody needs it.
type final struct{ http.ResponseWriter }

func (w final) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(code)
	}
}

// Unwrap is for http.ResponseController.
func (w final) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// charged is the guest's side of an intercepted connection. Its bytes count, and
// closing it ends what is read; the flow
// closes it to the guest.
type charged struct {
	*guestConn
	f *flow
}

func (c *charged) Read(p []byte) (int, error) {
	n, err := c.guestConn.Read(p)
	c.f.touch()
	if n > 0 && !charge(&c.f.link.meter.out, n, c.f.policy.budgets.BytesOut) {
		c.f.abort()
		return 0, c.f.refuse(reasonBytesOut)
	}
	return n, err
}

func (c *charged) Write(p []byte) (int, error) {
	c.f.touch()
	if !charge(&c.f.link.meter.in, len(p), c.f.policy.budgets.BytesIn) {
		c.f.abort()
		return 0, c.f.refuse(reasonBytesIn)
	}
	return c.guestConn.Write(p)
}

func (c *charged) Close() error {
	return c.guestConn.SetReadDeadline(time.Unix(1, 0)) // who reads, is done
}

// once is a listener for one connection. It ends with it.
type once struct {
	conn   net.Conn
	give   chan net.Conn
	closed chan struct{}
	end    sync.Once
}

func newOnce(conn net.Conn) *once {
	o := &once{conn: conn, give: make(chan net.Conn, 1), closed: make(chan struct{})}
	o.give <- &notified{conn, o}
	return o
}

func (o *once) Accept() (net.Conn, error) {
	select {
	case c := <-o.give:
		return c, nil
	case <-o.closed:
		return nil, net.ErrClosed
	}
}

func (o *once) Close() error {
	o.end.Do(func() { close(o.closed) })
	return nil
}

func (o *once) Addr() net.Addr { return o.conn.LocalAddr() }

// notified ends its listener when it is closed.
type notified struct {
	net.Conn
	o *once
}

func (n *notified) Close() error {
	_ = n.o.Close() // which never fails
	return n.Conn.Close()
}
