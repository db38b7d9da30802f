package egress

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

// stream is n bytes that are not all the same.
func stream(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), n) }

func sum(t testing.TB, r io.Reader) [32]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return [32]byte(h.Sum(nil))
}

func TestLargeTransfers(t *testing.T) {
	const size = 32 << 20
	w := newWorld()
	w.listen(t, "1.1.1.1:9000", func(c *net.TCPConn) {
		got := sum(t, c) // until the guest closes its half
		_, _ = c.Write(got[:])
		_, _ = io.Copy(c, stream(size))
		_ = c.CloseWrite()
	})
	g := newGuest(t, allow("a.example:9000"), w.options())
	c := g.mustDial("a.example", 9000)
	defer c.Close()
	if _, err := io.Copy(c, stream(size)); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var got [32]byte
	if _, err := io.ReadFull(c, got[:]); err != nil {
		t.Fatal(err)
	}
	want := sum(t, stream(size))
	if back := sum(t, c); got != want || back != want {
		t.Errorf("out %x, back %x, want %x", got[:4], back[:4], want[:4])
	}
	if r := g.link.Report(); r.BytesOut != size || r.BytesIn != size+32 {
		t.Errorf("%+v", r)
	}
}

// The server closes its half first and goes on reading.
func TestHalfClose(t *testing.T) {
	w := newWorld()
	heard := make(chan string, 1)
	w.listen(t, "1.1.1.1:9000", func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "bye")
		_ = c.CloseWrite()
		b, _ := io.ReadAll(c)
		heard <- string(b)
	})
	g := newGuest(t, allow("a.example:9000"), w.options())
	c := g.mustDial("a.example", 9000)
	if b, err := io.ReadAll(c); string(b) != "bye" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	_, _ = io.WriteString(c, "still here")
	c.Close()
	if got := <-heard; got != "still here" {
		t.Errorf("%q", got)
	}
}

// What ends in a reset ends in a reset.
func TestReset(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:9000", func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	})
	g := newGuest(t, allow("a.example:9000"), w.options())
	c := g.mustDial("a.example", 9000)
	defer c.Close()
	_, _ = io.WriteString(c, "x")
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the guest saw %v", err)
	}
}

func TestManyConnections(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:9000", echo)
	g := newGuest(t, allow("a.example:9000"), w.options())
	ip, _ := g.lookup("a.example")
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			c, err := g.dialIP(ip.String(), 9000)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var b [8]byte
			for n := range 20 {
				binary.BigEndian.PutUint64(b[:], uint64(i*1000+n))
				_, _ = c.Write(b[:])
				var got [8]byte
				if _, err := io.ReadFull(c, got[:]); err != nil || got != b {
					t.Errorf("%x, %v; want %x", got, err, b)
				}
			}
		})
	}
	wg.Wait()
	if d := g.link.Report().Denied; len(d) > 0 {
		t.Errorf("denied: %+v", d)
	}
}

func TestBudgets(t *testing.T) {
	a := allow("a.example:22", "a.example")
	chatty := func(w *world) { w.listen(t, "1.1.1.1:22", func(c *net.TCPConn) { _, _ = io.Copy(c, stream(1<<20)) }) }
	budget := func(b Budgets) func(*Options) { return func(o *Options) { o.Budgets = b } }
	hold := func(n int) func(*guest) error {
		return func(g *guest) error {
			for range n {
				c, err := g.dial("a.example", 22)
				if err != nil {
					return err
				}
				defer c.Close()
			}
			return nil
		}
	}
	runBypasses(t, []bypass{
		{name: "bytes in", network: a, world: chatty, tune: budget(Budgets{BytesIn: 100_000}), host: "a.example", port: 22, reason: reasonBytesIn, try: func(g *guest) error {
			c := g.mustDial("a.example", 22)
			defer c.Close()
			_, err := io.Copy(io.Discard, c)
			if in := g.link.Report().BytesIn; in > 100_000 {
				g.t.Errorf("%d bytes came in", in)
			}
			return err
		}},
		{name: "bytes out", network: a, tune: budget(Budgets{BytesOut: 100_000}), host: "a.example", port: 22, reason: reasonBytesOut, try: func(g *guest) error {
			c := g.mustDial("a.example", 22)
			defer c.Close()
			if _, err := io.Copy(c, stream(1<<20)); err != nil {
				return err
			}
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		{name: "connections at once", network: a, tune: budget(Budgets{Concurrent: 3}), try: hold(4), host: "a.example", port: 22, reason: "more than 3 connections at once"},
		{name: "connections in all", network: a, tune: budget(Budgets{Connections: 3}), host: "a.example", port: 22, reason: "the budget of 3 connections is spent", try: func(g *guest) error {
			for range 4 {
				if err := hold(1)(g); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "a flood of DNS connections", network: a, tune: budget(Budgets{Concurrent: 3}), host: GatewayIP, port: 53, reason: "more than 3 connections", try: func(g *guest) error {
			for range 4 {
				c, err := g.dialIP(GatewayIP, 53)
				if err != nil {
					return err
				}
				defer c.Close()
			}
			return nil
		}},
		{name: "nothing for long", network: a, tune: func(o *Options) { o.Timeouts.Idle = 50 * time.Millisecond }, host: "b.example", reason: reasonNoName, try: func(g *guest) error {
			_ = name("b.example")(g) // that it was idle is on no record
			c := g.mustDial("a.example", 22)
			defer c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}},
	})
}

func TestReportIsBounded(t *testing.T) {
	var l ledger
	for i := range 1000 {
		for range 3 {
			l.add(string(rune('a'+i%26))+string(make([]byte, 1000)), uint16(i), "no")
		}
	}
	list := l.list()
	if len(list) != maxDenied+1 || list[0].Count != 3 || list[maxDenied].Count != 2700 || len(list[0].Host) > maxHost {
		t.Errorf("%d rows, %d, %d", len(list), list[0].Count, list[len(list)-1].Count)
	}
}

// Close ends whatever is under way, and leaves no goroutine.
func TestClose(t *testing.T) {
	w := newWorld()
	open := make(chan struct{}, 10)
	w.listen(t, "1.1.1.1:9000", func(c *net.TCPConn) { open <- struct{}{}; _, _ = io.Copy(io.Discard, c) })
	w.listen(t, "1.1.1.1:443", func(c *net.TCPConn) { open <- struct{}{}; _, _ = io.Copy(io.Discard, c) })
	w.listen(t, "1.1.1.1:80", func(c *net.TCPConn) { open <- struct{}{}; _, _ = io.Copy(io.Discard, c) })
	g := newGuest(t, allow("a.example:1-65535"), w.options())
	for _, port := range []uint16{9000, 443, 80} {
		c := g.mustDial("a.example", port)
		defer c.Close()
		_, _ = io.WriteString(c, "G")
		<-open
	}
	// A connection whose guest never completes the handshake.
	half, _ := g.lookup("a.example")
	_ = packet(ip4(GuestIP, half.String(), protoTCP, syn(9000)))(g)
	<-open
	dns, err := g.dialIP(GatewayIP, dnsPort)
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	for range 2 {
		if err := g.link.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := g.link.meter.active.Load(); n != 0 {
		t.Errorf("%d connections are still there", n)
	}
}

// A link that nobody ever used costs nothing once it is closed.
func TestCloseUnused(t *testing.T) {
	before := goleak.IgnoreCurrent()
	link, guest, err := NewLink(LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	link.Close()
	guest.Close()
	goleak.VerifyNone(t, before)
}

// A guest that acknowledges nothing keeps what we hold for it within its own
// connections.
func TestGuestThatAcknowledgesNothing(t *testing.T) {
	w := newWorld()
	w.listen(t, "1.1.1.1:9000", func(c *net.TCPConn) { _, _ = io.Copy(c, stream(100_000)) })
	link, file, err := NewLink(LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p, err := Compile(job.Network{Mode: job.NetworkPublic}, w.options())
	if err != nil {
		t.Fatal(err)
	}
	_ = link.Attach(p)
	if err := unix.SetNonblock(int(file.Fd()), false); err != nil {
		t.Fatal(err)
	}
	segment := syn(9000)
	if _, err := file.Write(ip4(GuestIP, "1.1.1.1", protoTCP, segment)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, MTU)
	if _, err := file.Read(answer); err != nil || answer[33] != 0x12 {
		t.Fatalf("%x, %v", answer[:40], err)
	}
	binary.BigEndian.PutUint32(segment[4:], 2)
	binary.BigEndian.PutUint32(segment[8:], binary.BigEndian.Uint32(answer[24:])+1)
	segment[13] = 0x11 // our end, and an acknowledgement of nothing but the handshake
	if _, err := file.Write(ip4(GuestIP, "1.1.1.1", protoTCP, segment)); err != nil {
		t.Fatal(err)
	}
	for link.meter.in.Load() < 100_000 {
		if _, err := file.Read(answer); err != nil {
			t.Fatal(err)
		}
	}
	if n := link.meter.active.Load(); n != 1 {
		t.Errorf("%d connections count", n)
	}
	link.Close()
	if n := link.meter.active.Load(); n != 0 {
		t.Errorf("%d connections count after the end", n)
	}
}

// A guest that does not read holds up nobody but itself.
func TestGuestThatDoesNotRead(t *testing.T) {
	w := newWorld()
	link, file, err := NewLink(LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p, err := Compile(job.Network{Mode: job.NetworkPublic}, w.options())
	if err != nil {
		t.Fatal(err)
	}
	_ = link.Attach(p)
	for i := range 20_000 {
		src := syn(53)
		src[0], src[1] = byte(i>>8), byte(i)
		if _, err := file.Write(ip4(GuestIP, GatewayIP, protoTCP, src)); err != nil {
			break
		}
	}
	link.Close()
}
