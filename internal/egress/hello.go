package egress

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// Types of TLS records and handshake messages.
const (
	recordHandshake = 22
	messageHello    = 1
	messageServer   = 2
)

const (
	maxRecord = 1<<14 + 2048 // bytes, of what TLS 1.2 may encrypt
	maxHello  = 64 << 10     // bytes of a client hello with its records; large ones have 2 KiB
)

// Extensions of a client hello.
const (
	extServerName   = 0
	extECH          = 0xfe0d // encrypted client hello
	extEncryptedSNI = 0xffce // its draft before
)

var (
	errNoTLS    = errors.New("port 443 is for TLS, and this is none")
	errBadHello = errors.New("the TLS client hello is malformed")
)

// hello is what matters of a client hello.
type hello struct {
	name      string // of the server, as it was sent; empty if there is none
	encrypted bool   // there is an encrypted client hello in it
}

// readHello reads a client hello, over as many records as it takes, and answers
// it with the bytes it came in. It reads nothing that comes after.
func readHello(r io.Reader) (hello, []byte, error) {
	var raw, message []byte
	for {
		kind, record, err := readRecord(r, len(raw) == 0)
		if err != nil {
			return hello{}, nil, err
		}
		raw = append(raw, record...)
		message = append(message, record[recordHeader:]...)
		switch {
		case kind != recordHandshake, len(record) == recordHeader, message[0] != messageHello, len(raw) > maxHello:
			return hello{}, nil, errBadHello
		case len(message) < 4:
			continue
		}
		size := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
		switch {
		case size > maxHello, len(message) > 4+size:
			return hello{}, nil, errBadHello
		case len(message) == 4+size:
			h, err := parseHello(message[4:])
			return h, raw, err
		}
	}
}

const recordHeader = 5

// readRecord reads one record and answers its type, and its bytes with its
// header. Of the first one it is said whether it is TLS at all.
func readRecord(r io.Reader, first bool) (byte, []byte, error) {
	record := make([]byte, recordHeader)
	if n, err := io.ReadFull(r, record); err != nil {
		if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, errBadHello
		}
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint16(record[3:]))
	if record[1] != 3 || size > maxRecord || first && record[0] != recordHandshake {
		if first {
			return 0, nil, errNoTLS
		}
		return 0, nil, errBadHello
	}
	kind := record[0]
	record = append(record, make([]byte, size)...)
	if _, err := io.ReadFull(r, record[recordHeader:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errBadHello
		}
		return 0, nil, err
	}
	return kind, record, nil
}

// parseHello reads the body of a client hello. Whatever is left over, missing
// or there twice makes it malformed: a server might read it in another way.
func parseHello(b []byte) (hello, error) {
	c := cursor{b: b}
	c.take(2 + 32)         // version, random
	c.vector8()            // session
	suites := c.vector16() // cipher suites
	methods := c.vector8() // compression
	all := c.vector16()    // extensions
	if c.bad || len(c.b) > 0 || len(suites) < 2 || len(methods) < 1 {
		return hello{}, errBadHello
	}
	var h hello
	var seen []uint16
	list := cursor{b: all}
	for len(list.b) > 0 {
		kind := list.uint16()
		body := list.vector16()
		if list.bad || slices.Contains(seen, kind) || len(seen) == 256 {
			return hello{}, errBadHello
		}
		seen = append(seen, kind)
		switch kind {
		case extServerName:
			if h.name = parseServerName(body); h.name == "" {
				return hello{}, errBadHello
			}
		case extECH, extEncryptedSNI:
			h.encrypted = true
		}
	}
	return h, nil
}

// parseServerName reads the extension: a list of exactly one host name.
func parseServerName(b []byte) string {
	c := cursor{b: b}
	list := cursor{b: c.vector16()}
	kind := list.take(1)
	name := list.vector16()
	if c.bad || list.bad || len(c.b)+len(list.b) > 0 || kind[0] != 0 || len(name) > 255 {
		return ""
	}
	return string(name)
}

// cursor reads fields of a message; after the first that is not there it is bad.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.b, c.bad = nil, true
		return make([]byte, n)
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) uint16() uint16   { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) vector8() []byte  { return c.take(int(c.take(1)[0])) }
func (c *cursor) vector16() []byte { return c.take(int(c.uint16())) }
