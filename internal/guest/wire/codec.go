package wire

// encoder appends one frame: a header, then fields, then the length is filled
// in. Integers are little-endian, text is a 16-bit length and its bytes.
type encoder struct {
	b     []byte
	start int
}

func begin(dst []byte, t Type) encoder {
	return encoder{b: append(dst, byte(t), 0, 0, 0), start: len(dst)}
}

func (e *encoder) u8(v uint8)   { e.b = append(e.b, v) }
func (e *encoder) u16(v uint16) { e.b = append(e.b, byte(v), byte(v>>8)) }

func (e *encoder) u32(v uint32) {
	e.b = append(e.b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

func (e *encoder) u64(v uint64) {
	e.u32(uint32(v))
	e.u32(uint32(v >> 32))
}

func (e *encoder) flag(v bool) {
	if v {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

// text cuts s at MaxPath: every text here has that bound and its sender has
// checked it, so that a cut one never names anything.
func (e *encoder) text(s string) {
	if len(s) > MaxPath {
		s = s[:MaxPath]
	}
	e.u16(uint16(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) end() []byte {
	PutHeader(e.b[e.start:], Type(e.b[e.start]), len(e.b)-e.start-HeaderSize)
	return e.b
}

// decoder reads fields until one is missing or wrong; then it stays bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.b) < n {
		d.bad = true
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if p := d.take(2); p != nil {
		return uint16(p[0]) | uint16(p[1])<<8
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
	}
	return 0
}

func (d *decoder) u64() uint64 {
	lo := d.u32()
	return uint64(lo) | uint64(d.u32())<<32
}

// flag takes 0 and 1 only, so that a message has one form.
func (d *decoder) flag() bool {
	v := d.u8()
	if v > 1 {
		d.bad = true
	}
	return v == 1
}

func (d *decoder) text() string {
	n := int(d.u16())
	if n > MaxPath {
		d.bad = true
		return ""
	}
	return string(d.take(n))
}

// err reports a payload that was too short, too long or ill-formed.
func (d *decoder) err() error {
	if d.bad || len(d.b) != 0 {
		return ErrPayload
	}
	return nil
}
