package enginetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine"
)

// talk sends a datagram through the link and prints what comes back; its
// loopback works beside it.
const talk = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b"hello", ("192.0.2.200", 53))
print(s.recvfrom(100))
for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.5"), (socket.AF_INET6, "::1"):
    l = socket.socket(family)
    l.bind((address, 0))
    l.listen()
    c = socket.socket(family)
    c.connect(l.getsockname())
print([n for _, n in socket.if_nameindex()])
try:
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("2001:db8::1", 53))
except OSError as e:
    print(e.strerror)
`

const talked = "(b'HELLO', ('192.0.2.200', 53))\n['lo', 'eth0']\nNetwork is unreachable\n"

// link checks that packets go both ways through a link, in a sandbox that was
// launched with one and in one that was restored with one, and that the
// snapshot's other clones have none.
func (s *suite) link(t *testing.T) {
	e := s.New(t)
	spec, echo := s.linked(t)
	session := greet(t, s.sandbox(t, e, spec))
	echo(t)
	if got := python(t, session, talk); got != talked {
		t.Errorf("launched with a link: %q", got)
	}
	snapshot, err := s.sandbox(t, e, s.spec()).Checkpoint(t.Context(), t.TempDir())
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	spec, echo = s.linked(t)
	session = greet(t, s.restoredAs(t, e, spec, snapshot))
	echo(t)
	if got := python(t, session, talk); got != talked {
		t.Errorf("restored with a link: %q", got)
	}
	session = greet(t, s.restoredAs(t, e, s.spec(), snapshot))
	if got := python(t, session, unlinked); got != "['lo'] Network is unreachable\n" {
		t.Errorf("restored without a link: %q", got)
	}
}

const unlinked = `
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("192.0.2.200", 53))
except OSError as e:
    print([n for _, n in socket.if_nameindex()], e.strerror)
`

// linked is a sandbox with a link, and what answers one datagram at the other
// end of it.
func (s *suite) linked(t *testing.T) (engine.Spec, func(*testing.T)) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	inside, ours := os.NewFile(uintptr(fds[0]), "link inside"), os.NewFile(uintptr(fds[1]), "link")
	t.Cleanup(func() { inside.Close(); ours.Close() })
	spec := s.spec()
	spec.Link = &engine.Link{Socket: inside, MTU: 1500, Address: netip.MustParsePrefix("192.0.2.2/24"), Gateway: netip.MustParseAddr("192.0.2.1")}
	return spec, func(t *testing.T) {
		done := make(chan error, 1)
		go func() { done <- answer(fds[1]) }()
		t.Cleanup(func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// answer reads IPv4 packets until one is a datagram, and sends it back in
// capitals.
func answer(fd int) error {
	packet := make([]byte, 2000)
	for {
		n, err := unix.Read(fd, packet)
		if err != nil || n == 0 {
			return fmt.Errorf("no datagram came through the link: %v", err)
		}
		p := packet[:n]
		if n < 28 || p[0] != 0x45 || p[9] != unix.IPPROTO_UDP {
			continue
		}
		reply := slices.Concat(p[:28], bytes.ToUpper(p[28:]))
		copy(reply[12:16], p[16:20])
		copy(reply[16:20], p[12:16])
		copy(reply[20:22], p[22:24])
		copy(reply[22:24], p[20:22])
		binary.BigEndian.PutUint16(reply[26:], 0) // no checksum
		_, err = unix.Write(fd, reply)
		return err
	}
}
