package runner

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/redact"
)

// Stream is what is kept of a program's stdout or stderr.
type Stream struct {
	// Kept are the first bytes, at most the limit's. When the program wrote
	// more, they end in a notice, which counts towards the limit.
	Kept      []byte
	Truncated bool
	// Total is how many bytes the program wrote.
	Total int64
}

// tailSize is how much of the end of a stream is looked at for a traceback.
const tailSize = 8 << 10

// capture keeps the first limit bytes of a stream, if it is asked to, passes
// those or the first liveLimit bytes on, and remembers the tail while it is
// still told about it. It holds at most limit + tailSize bytes, whatever is
// written.
type capture struct {
	limit     int64
	liveLimit int64 // 0 is limit
	keepHead  bool
	// wantTail keeps the stream coming after the limit, for its tail.
	wantTail bool
	mask     *redact.Stream // of what must not be seen; nothing else sees the bytes before
	live     io.Writer      // nil once it failed; used by whoever has turned writing on

	mu     sync.Mutex // not held while live is written to: that may block for good
	head   bytes.Buffer
	tail   []byte
	seen   int64
	closed bool  // nothing more is kept
	busy   bool  // a piece is being written to live
	err    error // what live failed with
}

// Write never fails, except that it asks for silence when no more is needed.
func (c *capture) Write(p []byte) (int, error) {
	passed, enough := c.take(p)
	c.pass(passed)
	if enough {
		return len(p), guest.ErrDiscard
	}
	return len(p), nil
}

// pass writes to live what take answered.
func (c *capture) pass(p []byte) {
	var err error
	if len(p) > 0 && c.live != nil {
		_, err = c.live.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy = false; err != nil {
		c.live, c.err = nil, err
	}
}

// take masks what came and keeps it. Whoever calls it calls pass.
func (c *capture) take(p []byte) (passed []byte, enough bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = true
	if c.closed {
		return nil, true
	}
	return c.keep(c.mask.Next(p))
}

// flush takes what masking has held back, at the end of the stream. If a piece is
// still being written, nobody takes more.
func (c *capture) flush() {
	c.mu.Lock()
	rest := c.mask.End()
	passed, _ := c.keep(rest)
	write := len(passed) > 0 && !c.busy
	c.busy = c.busy || write
	c.mu.Unlock()
	if write {
		c.pass(passed)
	}
}

// keep returns the part of p that is to be passed on, and whether no more of
// the stream is needed.
func (c *capture) keep(p []byte) (passed []byte, enough bool) {
	live := cmp.Or(c.liveLimit, c.limit)
	passed = c.within(live, p)
	if c.keepHead {
		c.head.Write(c.within(c.limit, p))
	}
	c.seen += int64(len(p))
	c.keepTail(p)
	most := max(c.limit, live)
	return passed, c.seen > most && (!c.wantTail || c.seen > most+tailPatience)
}

// within is the part of p that is among the first limit bytes of the stream.
func (c *capture) within(limit int64, p []byte) []byte {
	return p[:max(0, min(int64(len(p)), limit-c.seen))]
}

// tailPatience is how far beyond the limit a stream is still read for its
// tail: a program that writes more than that is flooding.
const tailPatience = 1 << 20

func (c *capture) keepTail(p []byte) {
	if !c.wantTail {
		return
	}
	if len(p) >= tailSize {
		c.tail = append(c.tail[:0], p[len(p)-tailSize:]...)
		return
	}
	if drop := len(c.tail) + len(p) - tailSize; drop > 0 {
		c.tail = append(c.tail[:0], c.tail[drop:]...)
	}
	c.tail = append(c.tail, p...)
}

// failure is what the live sink failed with, if it did.
func (c *capture) failure(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("writing %s: %w", name, c.err)
}

// end is the tail, for whoever looks for a traceback.
func (c *capture) end() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.tail)
}

// stream ends the capture and is its result, where total is what init counted.
func (c *capture) stream(total int64) Stream {
	c.flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	s := Stream{Kept: c.head.Bytes(), Total: max(total, c.seen)}
	s.Truncated = s.Total > min(c.seen, c.limit)
	if !s.Truncated || !c.keepHead {
		return s
	}
	notice := fmt.Sprintf("\n\n[TRUNCATED: output exceeded %d bytes]", c.limit)
	if room := int(c.limit) - len(notice); room >= 0 {
		s.Kept = append(cutRune(s.Kept, room), notice...)
	}
	return s
}

// cutRune shortens b to at most n bytes without splitting a UTF-8 character.
func cutRune(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for i := n; i > n-utf8.UTFMax && i >= 0; i-- {
		if utf8.RuneStart(b[i]) {
			return b[:i]
		}
	}
	return b[:n]
}
