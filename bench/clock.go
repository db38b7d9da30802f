package main

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clock counts the processor time of what the thread that opened it executes:
// the new program, its descendants and theirs. It is what perf stat -e
// task-clock reads (perf_event_open(2), "inherit" and "enable_on_exec"). The
// kernel adds up a descendant's share when that ends, in whichever cgroup and
// namespace it was and whether or not it was waited for.
type clock struct{ fd int }

// openClock opens a clock on the calling thread; one that does not tick where
// the kernel refuses it.
func openClock() clock {
	attr := &unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_SOFTWARE,
		Config: unix.PERF_COUNT_SW_TASK_CLOCK,
		Size:   uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Bits:   unix.PerfBitDisabled | unix.PerfBitInherit | unix.PerfBitEnableOnExec,
	}
	fd, err := unix.PerfEventOpen(attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return clock{-1}
	}
	return clock{fd}
}

// read is the time so far; false where the clock does not tick.
func (c clock) read() (time.Duration, bool) {
	if c.fd < 0 {
		return 0, false
	}
	var b [8]byte
	n, err := unix.Read(c.fd, b[:])
	if err != nil || n != len(b) {
		return 0, false
	}
	ns := binary.NativeEndian.Uint64(b[:])
	return time.Duration(ns), ns > 0
}

func (c clock) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
}
