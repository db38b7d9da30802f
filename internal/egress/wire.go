package egress

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// stallTime is how long a packet waits for room in the socket before it is
// dropped. A guest that runs makes room in microseconds; one that does not read
// must not hold up the stack.
const stallTime = 50 * time.Millisecond

// wire is our end of the socket pair as a link of the stack. It differs from
// gVisor's own link for descriptors in three things: it waits in the runtime's
// poller and not with a thread of its own for each sandbox; it waits for room
// when the socket is full, where a lost packet would cost a round of
// congestion control; and nothing that the filter refuses reaches the stack.
type wire struct {
	sock   *net.UnixConn
	filter func(packet []byte) bool

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	done       chan struct{} // closed when the read loop has ended; nil before it began
}

// socketPair returns our end and the guest's. A packet is one message.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	guest := os.NewFile(uintptr(fds[1]), "network of the sandbox")
	ours := os.NewFile(uintptr(fds[0]), "network of the sandbox, our end")
	defer ours.Close()
	for _, fd := range fds {
		roomFor(fd)
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		guest.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), guest, nil
}

// roomFor asks for room for a handful of full packets, which is as much as
// anybody may have on most kernels. More is not faster. Less works, so what the
// kernel makes of it is not looked at.
func roomFor(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4*(MTU+4096))
}

// Attach is called with a dispatcher once, when the NIC is made, and with nil
// when it goes.
func (w *wire) Attach(d stack.NetworkDispatcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dispatcher = d
	if d != nil && w.done == nil {
		w.done = make(chan struct{})
		go w.read(d)
	}
}

// read hands packets to the stack until the socket is closed, by either end.
func (w *wire) read(d stack.NetworkDispatcher) {
	defer close(w.done)
	buf := make([]byte, MTU+1)
	for {
		n, err := w.sock.Read(buf)
		if err != nil {
			return
		}
		if n > MTU || !w.filter(buf[:n]) {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(buf[:n])})
		// The packet came over a socket: a wrong checksum is the guest's own doing.
		pkt.RXChecksumValidated = true
		d.DeliverNetworkPacket(header.IPv4ProtocolNumber, pkt)
		pkt.DecRef()
	}
}

// WritePackets sends packets to the guest.
func (w *wire) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for i, pkt := range list.AsSlice() {
		if err := w.write(pkt); err != nil {
			return i, err
		}
	}
	return list.Len(), nil
}

func (w *wire) write(pkt *stack.PacketBuffer) tcpip.Error {
	view := pkt.ToView()
	defer view.Release()
	return w.send(view.AsSlice())
}

func (w *wire) send(packet []byte) tcpip.Error {
	if err := w.sock.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return &tcpip.ErrClosedForSend{}
	}
	_, err := w.sock.Write(packet)
	switch {
	case err == nil:
		return nil
	case os.IsTimeout(err):
		return &tcpip.ErrNoBufferSpace{}
	}
	return &tcpip.ErrClosedForSend{}
}

// stop ends the read loop and waits for it.
func (w *wire) stop() {
	w.sock.Close()
	w.mu.RLock()
	done := w.done
	w.mu.RUnlock()
	if done != nil {
		<-done
	}
}

var _ stack.LinkEndpoint = (*wire)(nil)

func (w *wire) IsAttached() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.dispatcher != nil
}

func (w *wire) MTU() uint32                      { return MTU }
func (w *wire) SetMTU(uint32)                    {}
func (w *wire) MaxHeaderLength() uint16          { return 0 }
func (w *wire) LinkAddress() tcpip.LinkAddress   { return "" }
func (w *wire) SetLinkAddress(tcpip.LinkAddress) {}
func (w *wire) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}
func (w *wire) Wait()                                   {}
func (w *wire) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (w *wire) AddHeader(*stack.PacketBuffer)           {}
func (w *wire) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (w *wire) Close()                                  {}
func (w *wire) SetOnCloseAction(func())                 {}
