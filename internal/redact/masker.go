package redact

import (
	"bytes"
	"slices"
)

// MinLength is that of a value, in bytes: shorter ones stand in texts by chance.
const MinLength = 8

// Masker finds values. It does not change, so any number of streams may use it.
// A nil Masker finds nothing.
type Masker struct {
	patterns [][]byte
	longest  int
}

// New returns a Masker of values; nil where there are none. Those of less than
// MinLength bytes are not looked for.
func New(values ...string) *Masker {
	m := &Masker{}
	for _, v := range values {
		if len(v) < MinLength {
			continue
		}
		m.patterns = append(m.patterns, forms(v)...)
	}
	if len(m.patterns) == 0 {
		return nil
	}
	slices.SortFunc(m.patterns, bytes.Compare)
	m.patterns = slices.CompactFunc(m.patterns, bytes.Equal)
	for _, p := range m.patterns {
		m.longest = max(m.longest, len(p))
	}
	return m
}

// Bytes returns b with every value masked; b itself where there is none.
func (m *Masker) Bytes(b []byte) []byte {
	if m == nil {
		return b
	}
	spans := m.find(b)
	if len(spans) == 0 {
		return b
	}
	b = bytes.Clone(b)
	for _, s := range spans {
		mask(b[s.from:s.to])
	}
	return b
}

// String is Bytes for text.
func (m *Masker) String(s string) string {
	if m == nil {
		return s
	}
	return string(m.Bytes([]byte(s)))
}

// span is a value in a buffer.
type span struct{ from, to int }

// find lists where values are. They may overlap.
func (m *Masker) find(b []byte) (list []span) {
	for _, p := range m.patterns {
		for from := 0; ; {
			i := bytes.Index(b[from:], p)
			if i < 0 {
				break
			}
			list = append(list, span{from + i, from + i + len(p)})
			from += i + 1
		}
	}
	return list
}

// open is how many bytes at the end of b may be the beginning of a value.
func (m *Masker) open(b []byte) int {
	most := 0
	for _, p := range m.patterns {
		tail := b[max(0, len(b)-len(p)+1):]
		for len(tail) > most {
			i := bytes.IndexByte(tail, p[0])
			if i < 0 || len(tail)-i <= most {
				break
			}
			if tail = tail[i:]; bytes.HasPrefix(p, tail) {
				most = len(tail)
				break
			}
			tail = tail[1:]
		}
	}
	return most
}

// line is how many bytes at the end of b may be the beginning of a value for all
// that can be told without knowing it: those that are printed.
func (m *Masker) line(b []byte) int {
	n := 0
	for n < min(len(b), m.longest-1) && ' ' <= b[len(b)-1-n] && b[len(b)-1-n] <= '~' {
		n++
	}
	return n
}

func mask(b []byte) {
	for i := range b {
		b[i] = '*'
	}
}
