package egress

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Reasons why TLS on port 443 is refused.
const (
	reasonNoSNI     = "the TLS client hello names no host (no SNI)"
	reasonECH       = "the TLS client hello is encrypted (ECH), so that the policy cannot see its name"
	reasonSlowHello = "no TLS client hello came in time"
)

func reasonOtherSNI(host string) string {
	return "the TLS client hello names it, but " + host + " was dialled"
}

// helloGate reads what the guest says until the server that it means is known,
// which is after the first client hello, or after the second where the server
// asks for one (a hello retry request of TLS 1.3).
type helloGate struct {
	f     *flow
	reply replySniff
}

// gates are the two directions of a connection to port 443.
func (g *helloGate) gates() (out, back func() error) {
	g.reply = replySniff{need: retrySize + sha256.Size, known: make(chan struct{}), decide: isRetry}
	return g.fromGuest, func() error { return g.f.copyBack(&g.reply) }
}

func (g *helloGate) fromGuest() error {
	if err := g.hello(); err != nil {
		return done(err)
	}
	// Nothing of the guest's is due before the server has answered, except
	// early data, which may as well wait.
	<-g.reply.known
	for g.reply.yes {
		kind, record, err := readRecord(onlyReader{g.f.guest}, false)
		if err != nil {
			return done(g.judge(err))
		}
		r := io.MultiReader(bytes.NewReader(record), onlyReader{g.f.guest})
		if kind == recordHandshake {
			if err := g.pass(r); err != nil {
				return done(err)
			}
			break
		}
		if _, err := (toServer{g.f}).Write(record); err != nil {
			return err
		}
	}
	return g.f.fromGuest()
}

// hello passes the first client hello on, if it may.
func (g *helloGate) hello() error {
	_ = g.f.guest.SetReadDeadline(time.Now().Add(g.f.policy.timeouts.Head))
	if err := g.pass(onlyReader{g.f.guest}); err != nil {
		return err
	}
	return g.f.guest.SetReadDeadline(time.Time{})
}

// pass reads a client hello and passes it on, if it may.
func (g *helloGate) pass(r io.Reader) error {
	h, raw, err := readHello(r)
	if err != nil {
		return g.judge(err)
	}
	switch name := canonical(h.name); {
	case h.encrypted && g.f.policy.namesAreListed():
		return g.f.refuse(reasonECH)
	case h.name == "":
		return g.f.refuse(reasonNoSNI)
	case name != g.f.host:
		return g.f.refuseAs(printable(name), reasonOtherSNI(g.f.host))
	}
	_, err = toServer{g.f}.Write(raw)
	return err
}

// judge turns an error of reading into one of the flow.
func (g *helloGate) judge(err error) error {
	switch {
	case errors.Is(err, errNoTLS), errors.Is(err, errBadHello):
		return g.f.refuse(err.Error())
	case os.IsTimeout(err):
		return g.f.refuse(reasonSlowHello)
	}
	return err // io.EOF: the guest left without a word
}

// done makes an end that came where one may come no error.
func done(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// retryPrefix is what stands before the random of a server's hello: the
// record's header and the message's, and a version. Lengths are not compared.
func retryPrefix() [retrySize]byte {
	return [retrySize]byte{recordHandshake, 3, 3, 0, 0, messageServer, 0, 0, 0, 3, 3}
}

const retrySize = 11

// isRetry reports whether what a server begins with is a hello retry request,
// which has the hash of its own name where the random is; and whether that can
// be told already.
func isRetry(b []byte) (yes, known bool) {
	prefix := retryPrefix()
	for i, c := range b[:min(len(b), retrySize)] {
		if want := prefix[i]; want != 0 && i != 2 && c != want {
			return false, true
		}
	}
	if len(b) < retrySize+sha256.Size {
		return false, false
	}
	random := retryRandom()
	return bytes.Equal(b[retrySize:][:sha256.Size], random[:]), true
}

// retryRandom is what stands in the place of a random in such a request.
func retryRandom() [sha256.Size]byte { return sha256.Sum256([]byte("HelloRetryRequest")) }

// replySniff looks at the beginning of what a server says, while it is passed
// on. known is closed when decide could say, or there is nothing more to see.
type replySniff struct {
	need   int
	decide func([]byte) (yes, known bool)
	known  chan struct{}
	yes    bool // valid once known is closed

	begin []byte
	once  sync.Once
}

func (s *replySniff) see(p []byte) {
	if len(s.begin) >= s.need {
		return
	}
	s.begin = append(s.begin, p[:min(len(p), s.need-len(s.begin))]...)
	if yes, known := s.decide(s.begin); known || len(s.begin) == s.need {
		s.settle(yes)
	}
}

func (s *replySniff) settle(yes bool) {
	s.once.Do(func() {
		s.yes = yes
		s.begin = make([]byte, s.need)
		close(s.known)
	})
}

// copyBack is fromServer with an eye on how it begins.
func (f *flow) copyBack(s *replySniff) error {
	defer s.settle(false)
	_, err := io.Copy(sniffed{s, toGuest{f}}, onlyReader{f.up})
	return err
}

type sniffed struct {
	s *replySniff
	w io.Writer
}

// Write looks before it passes on: what the guest says to an answer is read
// by somebody who knows the answer.
func (w sniffed) Write(p []byte) (int, error) {
	w.s.see(p)
	return w.w.Write(p)
}
