package build

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/pkgindex"
)

// gateway serves a package index to one sandbox and nothing else to it: the
// policy's only name leads here, whatever it resolves to anywhere.
type gateway struct {
	index  *pkgindex.Gateway
	server *http.Server
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
	served chan struct{}
	policy *egress.Policy
}

// somewhere is a public address that stands for the gateway: nobody dials it.
const somewhere = "192.175.48.1"

func newGateway(o pkgindex.Options) (*gateway, error) {
	index, err := pkgindex.New(o)
	if err != nil {
		return nil, err
	}
	g := &gateway{index: index, conns: make(chan net.Conn), done: make(chan struct{}), served: make(chan struct{})}
	g.server = &http.Server{Handler: index, ReadHeaderTimeout: 10 * time.Second}
	g.policy, err = egress.Compile(job.Network{Mode: job.NetworkAllow, Allow: []string{pkgindex.Host + ":80"}}, egress.Options{
		Resolver: g, Dial: g.dial, Own: func() ([]netip.Addr, error) { return nil, nil },
	})
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	go func() {
		defer close(g.served)
		_ = g.server.Serve(g) // until Close
	}()
	return g, nil
}

// LookupNetIP is the policy's resolver.
func (g *gateway) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(somewhere)}, nil
}

// dial is the policy's: a connection to our server.
func (g *gateway) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	theirs, ours, err := pair()
	if err != nil {
		return nil, err
	}
	select {
	case g.conns <- ours:
		return theirs, nil
	case <-g.done:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, theirs.Close(), ours.Close())
}

// pair makes two ends of a stream, each of which can be closed for writing.
func pair() (a, b net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	one, other := os.NewFile(uintptr(fds[0]), "gateway"), os.NewFile(uintptr(fds[1]), "gateway")
	defer one.Close()
	defer other.Close()
	if a, err = net.FileConn(one); err != nil {
		return nil, nil, err
	}
	if b, err = net.FileConn(other); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a, b, nil
}

// Accept makes a gateway the listener of its server.
func (g *gateway) Accept() (net.Conn, error) {
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

// Addr is the listener's.
func (g *gateway) Addr() net.Addr { return &net.UnixAddr{Name: pkgindex.Host, Net: "unix"} }

// Close ends the listener; see end.
func (g *gateway) Close() error {
	g.once.Do(func() { close(g.done) })
	return nil
}

// end stops serving and waits for what is under way to end.
func (g *gateway) end() error {
	err := g.server.Close()
	g.Close()
	<-g.served
	return errors.Join(err, g.index.Close())
}
