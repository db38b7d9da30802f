package wire

// FileBegin announces a file of exactly Size bytes, which follow as FileData.
type FileBegin struct {
	Size uint64
	Name string
}

func (m FileBegin) Append(dst []byte) []byte {
	e := begin(dst, TypeFileBegin)
	e.u64(m.Size)
	e.text(m.Name)
	return e.end()
}

func (m *FileBegin) Decode(p []byte) error {
	d := decoder{b: p}
	*m = FileBegin{Size: d.u64(), Name: d.text()}
	if d.err() == nil && !ValidName(m.Name) {
		return ErrValue
	}
	return d.err()
}

// Reason says why a file was not collected.
type Reason uint8

const (
	ReasonHidden     Reason = iota + 1 // a leading dot
	ReasonSymlink                      // links are not followed
	ReasonSpecial                      // a fifo, socket or device
	ReasonName                         // not UTF-8, control characters, too long
	ReasonDepth                        // too many directories
	ReasonSize                         // larger than one file may be
	ReasonTotal                        // larger than what is left of the total
	ReasonCount                        // too many files
	ReasonEntries                      // too many entries: not all of this directory was looked at
	ReasonUnreadable                   // could not be opened or read
	ReasonChanged                      // shrank while it was read
	reasonEnd
)

// String says s in the words of a record.
func (r Reason) String() string {
	words := [...]string{"hidden", "symbolic link", "not a regular file", "name not allowed", "too deep", "file too large",
		"total too large", "too many files", "too many entries", "unreadable", "changed while read"}
	if r >= 1 && int(r) <= len(words) {
		return words[r-1]
	}
	return "unknown"
}

// FileBad ends a file that could not be sent in full.
type FileBad struct{ Reason Reason }

func (m FileBad) Append(dst []byte) []byte {
	e := begin(dst, TypeFileBad)
	e.u8(uint8(m.Reason))
	return e.end()
}

func (m *FileBad) Decode(p []byte) error {
	d := decoder{b: p}
	*m = FileBad{Reason: Reason(d.u8())}
	return checkReason(&d, m.Reason)
}

// Skipped names an entry that was not collected. The name is whatever the
// guest made it, cut at MaxPath bytes.
type Skipped struct {
	Reason Reason
	Name   string
}

func (m Skipped) Append(dst []byte) []byte {
	e := begin(dst, TypeSkipped)
	e.u8(uint8(m.Reason))
	e.text(m.Name)
	return e.end()
}

func (m *Skipped) Decode(p []byte) error {
	d := decoder{b: p}
	*m = Skipped{Reason: Reason(d.u8()), Name: d.text()}
	return checkReason(&d, m.Reason)
}

func checkReason(d *decoder, r Reason) error {
	if d.err() == nil && (r == 0 || r >= reasonEnd) {
		return ErrValue
	}
	return d.err()
}

// CollectEnd ends a collection.
type CollectEnd struct {
	Files   uint32 // sent in full
	Bytes   uint64 // of those
	Skipped uint32 // entries not collected, the unlisted ones included
}

func (m CollectEnd) Append(dst []byte) []byte {
	e := begin(dst, TypeCollectEnd)
	e.u32(m.Files)
	e.u64(m.Bytes)
	e.u32(m.Skipped)
	return e.end()
}

func (m *CollectEnd) Decode(p []byte) error {
	d := decoder{b: p}
	*m = CollectEnd{Files: d.u32(), Bytes: d.u64(), Skipped: d.u32()}
	return d.err()
}
