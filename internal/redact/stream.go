package redact

import (
	"bytes"
	"io"
)

// Stream masks bytes that come in pieces. What may be the beginning of a value
// is held back until more has come, or the end: less than the length of the
// longest form of a value. The zero Stream is not ready; see Masker.Stream.
type Stream struct {
	m     *Masker
	lines bool
	held  []byte // as it came
	done  int    // of held are part of a value that ended in it
}

// Stream returns one of m. It is not for several at once.
func (m *Masker) Stream() *Stream { return &Stream{m: m} }

// Lines returns a Stream for what somebody watches who decides what is said:
// if only what fits were held back, they could find a value character by
// character, by what is late. Here the end of a line that is not complete waits,
// whatever it is, as much of it as a value is long.
func (m *Masker) Lines() *Stream { return &Stream{m: m, lines: true} }

// Next takes what comes and answers what may pass, a new slice or p itself. With
// a nil Masker, or a nil Stream, that is p.
func (s *Stream) Next(p []byte) []byte {
	if s == nil || s.m == nil {
		return p
	}
	return s.take(p, false)
}

// End answers what was held back.
func (s *Stream) End() []byte {
	if s == nil || s.m == nil {
		return nil
	}
	return s.take(nil, true)
}

func (s *Stream) take(p []byte, end bool) []byte {
	raw := p
	if len(s.held) > 0 {
		raw = append(s.held, p...)
	}
	keep := 0
	if !end {
		keep = s.m.open(raw)
		if s.lines {
			keep = max(keep, s.m.line(raw))
		}
	}
	spans := s.m.find(raw)
	if len(spans) == 0 && s.done == 0 && len(s.held) == 0 && keep == 0 {
		return p
	}
	cut := len(raw) - keep
	out := bytes.Clone(raw[:cut])
	mask(out[:min(s.done, cut)])
	done := s.done
	for _, v := range spans {
		if v.from < cut {
			mask(out[v.from:min(v.to, cut)])
			done = max(done, v.to)
		}
	}
	s.held, s.done = bytes.Clone(raw[cut:]), max(0, min(done, len(raw))-cut)
	return out
}

// Reader returns r with every value masked. It gives as many bytes as r does.
func (m *Masker) Reader(r io.Reader) io.Reader {
	if m == nil {
		return r
	}
	return &reader{r: r, s: m.Stream(), buf: make([]byte, 32<<10)}
}

type reader struct {
	r     io.Reader
	s     *Stream
	buf   []byte
	ready []byte
	err   error // what comes after ready
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.r.Read(r.buf)
		r.ready = r.s.Next(r.buf[:n])
		if r.err = err; err != nil {
			r.ready = append(bytes.Clone(r.ready), r.s.End()...)
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}
