package wire

// Greet opens a conversation, also with a restored sandbox.
type Greet struct {
	Version uint16
	Nonce   uint64 // comes back in Hello
}

func (m Greet) Append(dst []byte) []byte {
	e := begin(dst, TypeGreet)
	e.u16(m.Version)
	e.u64(m.Nonce)
	return e.end()
}

func (m *Greet) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Greet{Version: d.u16(), Nonce: d.u64()}
	return d.err()
}

// Mkdir makes a directory and what is missing above it, or adopts one that is
// there: mode and owner are those of the message afterwards.
type Mkdir struct {
	Path     string
	Mode     uint32 // permission bits
	UID, GID uint32
}

func (m Mkdir) Append(dst []byte) []byte {
	e := begin(dst, TypeMkdir)
	e.text(m.Path)
	e.u32(m.Mode)
	e.u32(m.UID)
	e.u32(m.GID)
	return e.end()
}

func (m *Mkdir) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Mkdir{Path: d.text(), Mode: d.u32(), UID: d.u32(), GID: d.u32()}
	return d.err()
}

// PutBegin announces a file of exactly Size bytes, which follow as PutData.
type PutBegin struct {
	Path     string
	Mode     uint32 // permission bits
	UID, GID uint32
	Size     uint64
}

func (m PutBegin) Append(dst []byte) []byte {
	e := begin(dst, TypePutBegin)
	e.text(m.Path)
	e.u32(m.Mode)
	e.u32(m.UID)
	e.u32(m.GID)
	e.u64(m.Size)
	return e.end()
}

func (m *PutBegin) Decode(p []byte) error {
	d := decoder{b: p}
	*m = PutBegin{Path: d.text(), Mode: d.u32(), UID: d.u32(), GID: d.u32(), Size: d.u64()}
	return d.err()
}

// Rlimit is one resource limit, in the kernel's numbers and units.
type Rlimit struct {
	Resource   uint8
	Soft, Hard uint64
}

// Stream names one of the program's outputs.
type Stream uint8

const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Run announces a program: NArgs Arg frames and NEnv Env frames follow, and
// with the last of them it is started.
//
// With a Hold it is started now and held when it opens that path: init makes a
// pipe of that name and says Held when the program sleeps, which is in that call
// unless it slept before. With Open init lets it end the call and says Held again,
// and with Release gives it the content of the file that has the name by then.
type Run struct {
	Path        string // absolute
	Dir         string // absolute
	Hold        string // absolute, below a directory that may be written; "" is not held
	UID, GID    uint32 // neither is 0
	Stdin       bool   // input follows as Stdin; else the program reads /dev/null
	Discard     uint8  // streams dropped from the start, 1<<Stream each
	NArgs, NEnv uint16
	Rlimits     []Rlimit
}

func (m Run) Append(dst []byte) []byte {
	e := begin(dst, TypeRun)
	e.text(m.Path)
	e.text(m.Dir)
	e.text(m.Hold)
	e.u32(m.UID)
	e.u32(m.GID)
	e.flag(m.Stdin)
	e.u8(m.Discard)
	e.u16(m.NArgs)
	e.u16(m.NEnv)
	e.u8(uint8(len(m.Rlimits)))
	for _, l := range m.Rlimits {
		e.u8(l.Resource)
		e.u64(l.Soft)
		e.u64(l.Hard)
	}
	return e.end()
}

func (m *Run) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Run{Path: d.text(), Dir: d.text(), Hold: d.text(), UID: d.u32(), GID: d.u32(), Stdin: d.flag(), Discard: d.u8(),
		NArgs: d.u16(), NEnv: d.u16()}
	n := int(d.u8())
	if n > MaxRlimits {
		return ErrValue
	}
	for range n {
		m.Rlimits = append(m.Rlimits, Rlimit{Resource: d.u8(), Soft: d.u64(), Hard: d.u64()})
	}
	if err := d.err(); err != nil {
		return err
	}
	return m.check()
}

func (m *Run) check() error {
	absolute := len(m.Path) > 0 && m.Path[0] == '/' && len(m.Dir) > 0 && m.Dir[0] == '/'
	if m.Hold != "" {
		// A held program may not find input there that another one will get.
		if _, ok := SplitPath(m.Hold); !ok || m.Stdin || m.Discard != 0 {
			return ErrValue
		}
	}
	if !absolute || hasNUL(m.Path) || hasNUL(m.Dir) || m.UID == 0 || m.GID == 0 || m.NArgs == 0 ||
		int(m.NArgs)+int(m.NEnv) > MaxStrings || m.Discard&^(1<<Stdout|1<<Stderr) != 0 {
		return ErrValue
	}
	return nil
}

// Release gives a held program its script, if at least the last Puts files that
// were put went well.
type Release struct{ Puts uint8 }

func (m Release) Append(dst []byte) []byte {
	e := begin(dst, TypeRelease)
	e.u8(m.Puts)
	return e.end()
}

func (m *Release) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Release{Puts: d.u8()}
	return d.err()
}

// Discard drops a stream from now on; it is still counted.
type Discard struct{ Stream Stream }

func (m Discard) Append(dst []byte) []byte {
	e := begin(dst, TypeDiscard)
	e.u8(uint8(m.Stream))
	return e.end()
}

func (m *Discard) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Discard{Stream: Stream(d.u8())}
	if d.err() == nil && m.Stream != Stdout && m.Stream != Stderr {
		return ErrValue
	}
	return d.err()
}

// Signal goes to the program, or with All to every process but init.
type Signal struct {
	Signal uint8
	All    bool
}

func (m Signal) Append(dst []byte) []byte {
	e := begin(dst, TypeSignal)
	e.u8(m.Signal)
	e.flag(m.All)
	return e.end()
}

func (m *Signal) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Signal{Signal: d.u8(), All: d.flag()}
	if d.err() == nil && (m.Signal == 0 || m.Signal > 64) {
		return ErrValue
	}
	return d.err()
}

// Collect asks for the regular files below Root. Bounds are inclusive.
type Collect struct {
	Root                        string
	MaxFiles                    uint32
	MaxFileBytes, MaxTotalBytes uint64
	MaxDepth                    uint8 // directories below Root
}

func (m Collect) Append(dst []byte) []byte {
	e := begin(dst, TypeCollect)
	e.text(m.Root)
	e.u32(m.MaxFiles)
	e.u64(m.MaxFileBytes)
	e.u64(m.MaxTotalBytes)
	e.u8(m.MaxDepth)
	return e.end()
}

func (m *Collect) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Collect{Root: d.text(), MaxFiles: d.u32(), MaxFileBytes: d.u64(), MaxTotalBytes: d.u64(), MaxDepth: d.u8()}
	return d.err()
}
