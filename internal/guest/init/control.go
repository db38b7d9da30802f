package main

import (
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// inbox holds what came from the host and is not handled yet: at most one
// frame that is not complete. It is empty while nobody asks for anything.
type inbox struct {
	buf [wire.MaxFrame]byte
	n   int
}

// fill reads once. It reports false when the host is gone.
func (in *inbox) fill() bool {
	if in.n == len(in.buf) {
		return true
	}
	n, errno := receive(controlFD, in.buf[in.n:])
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		return true
	}
	if errno != 0 || n == 0 {
		return false
	}
	in.n += n
	return true
}

// next hands out the first complete frame; its payload is good until drop.
func (in *inbox) next() (t wire.Type, payload []byte, ok bool, err error) {
	if in.n < wire.HeaderSize {
		return 0, nil, false, nil
	}
	t, n, err := wire.ParseHeader(in.buf[:wire.HeaderSize])
	if err != nil || in.n < wire.HeaderSize+n {
		return t, nil, false, err
	}
	return t, in.buf[wire.HeaderSize : wire.HeaderSize+n], true, nil
}

// drop forgets the first frame, which has n bytes of payload.
func (in *inbox) drop(n int) {
	in.n = copy(in.buf[:], in.buf[wire.HeaderSize+n:in.n])
}

// outbox holds what the host has not taken yet: one large frame, and behind it
// the few small ones that were due meanwhile.
type outbox struct {
	buf      [wire.MaxFrame + 4096]byte
	off, end int
}

func (out *outbox) empty() bool { return out.off == out.end }

// space is where one large frame may be built when the outbox is empty; commit
// queues it.
func (out *outbox) space() []byte { return out.buf[:wire.MaxFrame] }

func (out *outbox) commit(t wire.Type, n int) {
	wire.PutHeader(out.buf[:], t, n)
	out.off, out.end = 0, wire.HeaderSize+n
}

// add queues one or more small frames. It reports false when there is no room
// left, which takes a host that asks without listening.
func (out *outbox) add(frame []byte) bool {
	if out.empty() {
		out.off, out.end = 0, 0
	}
	if len(frame) > len(out.buf)-out.end {
		return false
	}
	out.end += copy(out.buf[out.end:], frame)
	return true
}

// flush sends what the socket takes now. It reports false when the host is gone.
func (out *outbox) flush() bool {
	for !out.empty() {
		n, errno := send(controlFD, out.buf[out.off:out.end])
		if errno == syscall.EAGAIN || errno == syscall.EINTR {
			return true
		}
		if errno != 0 {
			return false
		}
		out.off += n
	}
	return true
}

// drain sends everything, however long the host takes.
func (out *outbox) drain() bool {
	for {
		if !out.flush() {
			return false
		}
		if out.empty() {
			return true
		}
		poll([]pollFD{{fd: controlFD, events: pollOut}}, -1)
	}
}
