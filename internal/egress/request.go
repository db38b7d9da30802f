package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http/httputil"
	"os"
	"strings"
	"time"
)

const (
	reasonSlowHead = "no HTTP request came in time"
	reasonBadBody  = "the body of the HTTP request is malformed"

	maxSurplus = 1 << 20 // bytes that are read after a request, and not passed on
	maxTrailer = 8 << 10 // bytes of a trailer, which is not passed on either
)

func reasonOtherHost(host string) string {
	return "the HTTP request names it, but " + host + " was dialled"
}

// requestGate carries one HTTP/1 request per connection to port 80. The request
// is read and written anew, so that the server sees where it ends exactly as we
// do, and asks the server to close after its answer, which is how each client
// learns to make another connection for another request. What comes after the
// request goes nowhere: no second request can hide behind the first. The answer
// passes as it comes.
type requestGate struct {
	f     *flow
	r     *bufio.Reader
	reply replySniff
}

func (g *requestGate) gates() (out, back func() error) {
	g.r = bufio.NewReader(onlyReader{g.f.guest})
	g.reply = replySniff{need: len("HTTP/1.1 101"), known: make(chan struct{}), decide: isSwitch}
	return g.fromGuest, g.fromServer
}

// isSwitch reports whether an answer begins with the status 101.
func isSwitch(b []byte) (yes, known bool) {
	const want = "HTTP/1.1 101"
	return string(b) == want, !strings.HasPrefix(want, string(b)) || len(b) == len(want)
}

func (g *requestGate) fromGuest() error {
	h, err := g.head()
	if err != nil {
		return done(err)
	}
	if _, err := (toServer{g.f}).Write(h.out); err != nil {
		return err
	}
	if err := g.body(h); err != nil {
		return err
	}
	if h.websocket {
		<-g.reply.known
		if g.reply.yes {
			_, err := io.Copy(toServer{g.f}, onlyReader{g.r})
			return err
		}
	}
	return g.surplus()
}

// fromServer passes the answer on. After its end the guest has a moment to
// read it and to close.
func (g *requestGate) fromServer() error {
	err := g.f.copyBack(&g.reply)
	g.f.touch()
	g.f.idle.Store(int64(g.f.policy.timeouts.Linger))
	return err
}

// head reads the head of a request and holds it against what was dialled.
func (g *requestGate) head() (requestHead, error) {
	_ = g.f.guest.SetReadDeadline(time.Now().Add(g.f.policy.timeouts.Head))
	raw, err := readHead(g.r)
	var h requestHead
	if err == nil {
		h, err = parseHead(raw)
	}
	switch {
	case err == nil && h.host != g.f.host:
		return h, g.f.refuseAs(printable(h.host), reasonOtherHost(g.f.host))
	case err == nil:
		return h, g.f.guest.SetReadDeadline(time.Time{})
	case raw != nil, errors.Is(err, errBadHead), errors.Is(err, errNoHTTP):
		return h, g.f.refuse(err.Error())
	case os.IsTimeout(err):
		return h, g.f.refuse(reasonSlowHead)
	}
	return h, err // the guest left without a word, or was lost
}

// body passes the body on, framed by us.
func (g *requestGate) body(h requestHead) error {
	if !h.chunked {
		_, err := io.CopyN(toServer{g.f}, g.r, h.length)
		return err
	}
	w := httputil.NewChunkedWriter(toServer{g.f})
	_, err := io.Copy(w, onlyReader{httputil.NewChunkedReader(g.r)})
	if err == nil {
		err = g.trailer()
	}
	if err != nil {
		if errors.Is(err, errRefused) || errors.Is(err, io.ErrUnexpectedEOF) || os.IsTimeout(err) {
			return err
		}
		return g.f.refuse(reasonBadBody)
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err = toServer{g.f}.Write([]byte("\r\n"))
	return err
}

// trailer reads what stands between the last chunk and the empty line.
func (g *requestGate) trailer() error {
	for left := maxTrailer; left > 0; {
		line, err := g.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if left -= len(line); string(line) == "\r\n" {
			return nil
		}
	}
	return errBadHead
}

// surplus reads what comes after the request until the guest closes. A client
// that sends requests ahead repeats them on another connection, so that is on
// nobody's record, unless the next one is for somebody else.
func (g *requestGate) surplus() error {
	if _, err := g.r.Peek(1); err != nil {
		return done(err)
	}
	if _, err := g.head(); err != nil {
		return done(err)
	}
	n, err := io.CopyN(io.Discard, g.r, maxSurplus)
	if n == maxSurplus {
		return g.f.refuse("more follows the HTTP request than a connection may carry")
	}
	return done(err)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
