package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// guestConn is the guest's side of a connection.
type guestConn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

// reset ends the connection so that the guest sees that it was not an ordinary
// end: what it has read so far is not all.
func (g *guestConn) reset() { g.ep.Abort() }

// finish closes the connection and waits until the guest has all that was sent
// to it, or the connection is aborted. Until then the stack keeps it, and the
// connection counts: a guest that acknowledges nothing cannot have the stack
// keep more than Budgets.Concurrent connections. moved is called when some of
// it was acknowledged.
func (g *guestConn) finish(moved func()) {
	_ = g.ep.Shutdown(tcpip.ShutdownWrite)
	last := -1
	for wait := 100 * time.Microsecond; !g.over(); wait = min(2*wait, 50*time.Millisecond) {
		if left, err := g.ep.GetSockOptInt(tcpip.SendQueueSizeOption); err == nil && left != last {
			last = left
			moved()
		}
		<-time.After(wait)
	}
	g.Close()
}

// over reports whether nothing more is to be sent.
func (g *guestConn) over() bool {
	switch tcp.EndpointState(g.ep.State()) {
	case tcp.StateClose, tcp.StateError, tcp.StateTimeWait, tcp.StateFinWait2:
		return true
	}
	return false
}

// flow is one connection of the guest, and ours to the server.
type flow struct {
	link   *Link
	policy *Policy
	host   string // canonical name, or address
	port   uint16
	guest  *guestConn
	up     net.Conn

	ctx    context.Context // ends with abort, and when the flow is over
	cancel context.CancelFunc

	active atomic.Int64 // when a byte last went through, in nanoseconds of the monotonic clock
	idle   atomic.Int64 // how long none may, as a time.Duration
	began  time.Time
	cut    sync.Once
}

// errRefused ends a flow of which the record says why.
var errRefused = errors.New("refused")

// serve relays until both ends have said all, or one fails, or nothing happens
// for long, or the link is closed.
func (f *flow) serve() {
	f.began = time.Now()
	f.idle.Store(int64(f.policy.timeouts.Idle))
	f.ctx, f.cancel = context.WithCancel(f.link.ctx)
	defer f.cancel()
	stop := context.AfterFunc(f.link.ctx, f.abort)
	defer stop()
	watch := f.watchIdle()
	defer watch()
	if secrets := f.policy.secretsFor(f.host, f.port); len(secrets) > 0 {
		f.intercept(secrets)
		return
	}
	f.relay()
}

// relay passes on what either end says.
func (f *flow) relay() {
	in := make(chan struct{})
	out, back := f.gates()
	go func() {
		defer close(in)
		f.end(back(), f.guest.CloseWrite)
	}()
	f.end(out(), func() error { return closeWrite(f.up) })
	<-in
	f.up.Close()
	f.guest.finish(f.touch)
}

// gates answers what reads from the guest and what reads from the server.
func (f *flow) gates() (out, back func() error) {
	_, err := netip.ParseAddr(f.host)
	switch {
	case err == nil: // no name was dialled that another could be hidden behind
	case f.port == httpsPort:
		return (&helloGate{f: f}).gates()
	case f.port == httpPort:
		return (&requestGate{f: f}).gates()
	}
	return f.fromGuest, f.fromServer
}

// end closes one direction: by passing on the end of what was read, or, after
// an error, by ending both directions.
func (f *flow) end(err error, closeWrite func() error) {
	if err == nil {
		err = closeWrite()
	}
	if err != nil {
		f.abort()
	}
}

// closeWrite tells the server that no more comes.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// abort resets both connections.
func (f *flow) abort() {
	f.cut.Do(func() {
		f.cancel()
		f.guest.reset()
		if t, ok := f.up.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		f.up.Close()
	})
}

// refuse notes why the flow is ended.
func (f *flow) refuse(reason string) error { return f.refuseAs(f.host, reason) }

// refuseAs does so under the name that the guest used.
func (f *flow) refuseAs(host, reason string) error {
	f.link.denied.add(host, f.port, reason)
	return errRefused
}

func (f *flow) fromGuest() error {
	_, err := io.Copy(toServer{f}, onlyReader{f.guest})
	return err
}

func (f *flow) fromServer() error {
	_, err := io.Copy(toGuest{f}, onlyReader{f.up})
	return err
}

// onlyReader hides other methods from io.Copy, which would take bytes past us.
type onlyReader struct{ io.Reader }

// toServer writes to the server what the budget has room for.
type toServer struct{ f *flow }

func (w toServer) Write(p []byte) (int, error) {
	w.f.touch()
	if !charge(&w.f.link.meter.out, len(p), w.f.policy.budgets.BytesOut) {
		return 0, w.f.refuse(reasonBytesOut)
	}
	return w.f.up.Write(p)
}

// toGuest writes to the guest what the budget has room for.
type toGuest struct{ f *flow }

func (w toGuest) Write(p []byte) (int, error) {
	w.f.touch()
	if !charge(&w.f.link.meter.in, len(p), w.f.policy.budgets.BytesIn) {
		return 0, w.f.refuse(reasonBytesIn)
	}
	return w.f.guest.Write(p)
}

func (f *flow) touch() { f.active.Store(int64(time.Since(f.began))) }

// watchIdle ends the flow when no byte went through for the idle time. One
// timer looks after both directions, and is not set anew for each byte.
func (f *flow) watchIdle() (stop func()) {
	ctx, cancel := context.WithCancel(f.link.ctx)
	f.link.flows.Go(func() {
		defer cancel()
		for {
			left := time.Duration(f.idle.Load()) - (time.Since(f.began) - time.Duration(f.active.Load()))
			if left <= 0 {
				f.abort()
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(left, f.policy.timeouts.Linger)):
			}
		}
	})
	return cancel
}
