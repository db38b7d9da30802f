package wire

// Version is the version of this language. Both ends say theirs and an unequal
// pair does not talk: the init travels with the host's binary.
const Version = 3

const (
	// HeaderSize is the length of a frame's header, in bytes.
	HeaderSize = 4
	// MaxPayload is the longest payload, in bytes.
	MaxPayload = 64 << 10
	// MaxFrame is the longest frame, in bytes.
	MaxFrame = HeaderSize + MaxPayload
	// StdinWindow is how many bytes of input the host may have under way.
	StdinWindow = 64 << 10
	// MaxStrings bounds arguments and environment together, in number.
	MaxStrings = 4096
	// MaxStringBytes bounds them in bytes, the terminators included.
	MaxStringBytes = 4 << 20
	// MaxRlimits bounds the resource limits of one program.
	MaxRlimits = 16
	// MaxSkips bounds the Skipped messages of one collection; the others are
	// only counted.
	MaxSkips = 100
)

// Error is a violation of this language. The texts are constants because the
// init has no fmt.
type Error string

func (e Error) Error() string { return string(e) }

const (
	ErrType    Error = "unknown frame type"
	ErrLength  Error = "frame is longer than allowed"
	ErrPayload Error = "payload does not match its message"
	ErrValue   Error = "field is out of range"
)

// Type says what a frame's payload is.
type Type uint8

// Frames from the host.
const (
	TypeGreet    Type = 0x01
	TypeMkdir    Type = 0x02
	TypePutBegin Type = 0x03
	TypePutData  Type = 0x04 // bytes of the file
	TypePutAbort Type = 0x05 // empty: forget the file
	TypeRun      Type = 0x06
	TypeArg      Type = 0x07 // one argument
	TypeEnv      Type = 0x08 // one KEY=value
	TypeStdin    Type = 0x09 // bytes of input
	TypeStdinEOF Type = 0x0a // empty
	TypeDiscard  Type = 0x0b
	TypeSignal   Type = 0x0c
	TypeCollect  Type = 0x0d
	TypeShutdown Type = 0x0e // empty
	TypeRelease  Type = 0x0f
	TypeOpen     Type = 0x10 // empty: a held program opens its script
)

// Frames from the init.
const (
	TypeHello       Type = 0x81
	TypeDone        Type = 0x82
	TypeStarted     Type = 0x83
	TypeStartFailed Type = 0x84
	TypeStdout      Type = 0x85 // bytes of output
	TypeStderr      Type = 0x86 // bytes of output
	TypeStdinCredit Type = 0x87
	TypeStdinClosed Type = 0x88 // empty: the program closed its input
	TypeExited      Type = 0x89
	TypeFileBegin   Type = 0x8a
	TypeFileData    Type = 0x8b // bytes of the file
	TypeFileEnd     Type = 0x8c // empty
	TypeFileBad     Type = 0x8d
	TypeSkipped     Type = 0x8e
	TypeCollectEnd  Type = 0x8f
	TypeFatal       Type = 0x90
	TypeHeld        Type = 0x91
)

// String names t as errors and logs do.
func (t Type) String() string {
	if name, ok := typeName(t); ok {
		return name
	}
	const hex = "0123456789abcdef"
	return "type 0x" + string([]byte{hex[t>>4], hex[t&15]})
}

// Known reports whether t is a type of this version.
func (t Type) Known() bool {
	_, ok := typeName(t)
	return ok
}

func typeName(t Type) (string, bool) {
	host := [...]string{"Greet", "Mkdir", "PutBegin", "PutData", "PutAbort", "Run", "Arg", "Env", "Stdin",
		"StdinEOF", "Discard", "Signal", "Collect", "Shutdown", "Release", "Open"}
	guest := [...]string{"Hello", "Done", "Started", "StartFailed", "Stdout", "Stderr", "StdinCredit",
		"StdinClosed", "Exited", "FileBegin", "FileData", "FileEnd", "FileBad", "Skipped", "CollectEnd", "Fatal", "Held"}
	switch {
	case t >= TypeGreet && int(t-TypeGreet) < len(host):
		return host[t-TypeGreet], true
	case t >= TypeHello && int(t-TypeHello) < len(guest):
		return guest[t-TypeHello], true
	}
	return "", false
}

// ParseHeader reads the header h, which has HeaderSize bytes, and returns the
// frame's type and the length of its payload.
func ParseHeader(h []byte) (Type, int, error) {
	if len(h) < HeaderSize {
		return 0, 0, ErrPayload
	}
	t := Type(h[0])
	if !t.Known() {
		return t, 0, ErrType
	}
	n := int(h[1]) | int(h[2])<<8 | int(h[3])<<16
	if n > MaxPayload {
		return t, 0, ErrLength
	}
	return t, n, nil
}

// PutHeader writes a header for n bytes of payload into h.
func PutHeader(h []byte, t Type, n int) {
	h[0], h[1], h[2], h[3] = byte(t), byte(n), byte(n>>8), byte(n>>16)
}

// AppendRaw appends a frame whose payload is data as it is; data is at most
// MaxPayload bytes.
func AppendRaw(dst []byte, t Type, data []byte) []byte {
	n := len(data)
	dst = append(dst, byte(t), byte(n), byte(n>>8), byte(n>>16))
	return append(dst, data...)
}

// AppendEmpty appends a frame without payload.
func AppendEmpty(dst []byte, t Type) []byte { return append(dst, byte(t), 0, 0, 0) }
