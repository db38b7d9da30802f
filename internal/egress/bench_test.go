package egress

import (
	"io"
	"net"
	"testing"
)

// BenchmarkRelay measures a connection of a guest beside one that is made to
// the same server directly. The guest's stack is in this process, too.
func BenchmarkRelay(b *testing.B) {
	w := newWorld()
	w.listen(b, "1.1.1.1:9000", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	w.listen(b, "1.1.1.1:9001", func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	w.listen(b, "1.1.1.1:9002", func(c *net.TCPConn) {
		buf := make([]byte, 256<<10)
		for {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
	o := w.options()
	o.Budgets = Budgets{BytesIn: 1 << 60, BytesOut: 1 << 60, Connections: 1 << 30}
	g := newGuest(b, allow("a.example:9000-9002"), o)
	ip, _ := g.lookup("a.example")
	ways := map[string]func(port uint16) net.Conn{
		"relayed": func(port uint16) net.Conn {
			c, err := g.dialIP(ip.String(), port)
			if err != nil {
				b.Fatal(err)
			}
			return c
		},
		"direct": func(port uint16) net.Conn {
			c, err := net.Dial("tcp4", w.servers[net.JoinHostPort("1.1.1.1", map[uint16]string{9000: "9000", 9001: "9001", 9002: "9002"}[port])])
			if err != nil {
				b.Fatal(err)
			}
			return c
		},
	}
	for _, way := range []string{"direct", "relayed"} {
		dial := ways[way]
		b.Run("connect/"+way, func(b *testing.B) {
			for b.Loop() {
				dial(9000).Close()
			}
		})
		b.Run("round-trip/"+way, func(b *testing.B) {
			c := dial(9000)
			defer c.Close()
			var buf [64]byte
			for b.Loop() {
				_, _ = c.Write(buf[:])
				if _, err := io.ReadFull(c, buf[:]); err != nil {
					b.Fatal(err)
				}
			}
		})
		buf := make([]byte, 256<<10)
		b.Run("upload/"+way, func(b *testing.B) {
			c := dial(9001)
			defer c.Close()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := c.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("download/"+way, func(b *testing.B) {
			c := dial(9002)
			defer c.Close()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLink measures what a sandbox with a network costs before it uses it.
func BenchmarkLink(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		link, guest, err := NewLink(LinkOptions{})
		if err != nil {
			b.Fatal(err)
		}
		link.Close()
		guest.Close()
	}
}
