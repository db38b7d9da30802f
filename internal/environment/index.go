package environment

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path"
	"slices"
)

// The index is the memory of a look, in the order in which it is compared:
// by directory, so that every stat is relative to an open one.
//
//	magic    8 bytes
//	crc      u32, Castagnoli, of all that follows
//	head     u32 length, JSON of indexHead
//	for each directory:
//	  path   relative to the root, "." for the root itself
//	  count  u32, then as many children: name, stamp
//
// Paths and names are a u16 length, which counts the NUL at their end, and
// bytes, so that they can be given to the kernel where they are.
// A stamp is a kind byte and, for full ones, mode, size, mtime, ctime and
// inode. A directory that was passed through and not listed has a weak stamp,
// its mode alone: what else is in /usr/bin does not matter. Compiled Python has
// no stamp: its directory and its source have.
// All numbers are little-endian.
const indexMagic = "takoidx\x02"

const (
	stampAbsent byte = iota
	stampWeak        // mode
	stampFull
)

var (
	errIndex   = errors.New("not an index, or a damaged one")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// indexHead says what the looks are of and what came out of them.
type indexHead struct {
	Rules       string      `json:"rules"`
	Root        string      `json:"root"`
	Environment Environment `json:"environment"`
}

// racy is the time in which two changes of a file may leave the same ctime:
// the kernel stamps with a clock that ticks every 1 to 10 ms.
const racy = int64(20e6)

// encodeIndex writes the memory of l. A file that changed less than racy
// before the scan began, at since (nanoseconds since 1970), gets a stamp that
// matches nothing, so that the next comparison looks again.
func encodeIndex(head indexHead, l *look, since int64) ([]byte, error) {
	js, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encoding the index: %w", err)
	}
	b := append([]byte(indexMagic), 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(js)))
	b = append(b, js...)

	children := map[string][]string{}
	for name := range l.seen {
		if l.bytecode(name) {
			continue
		}
		children[path.Dir(name)] = append(children[path.Dir(name)], name)
	}
	stampFor := func(name string) (byte, stamp) {
		s := l.seen[name]
		_, listed := l.listed[name]
		switch {
		case s.absent():
			return stampAbsent, s
		case s.dir() && !listed:
			return stampWeak, s
		case s.ctime > since-racy:
			s.ctime = 0
		}
		return stampFull, s
	}
	for _, dir := range slices.Sorted(maps.Keys(children)) {
		b = appendName(b, path.Join(".", "."+dir))
		names := slices.Sorted(slices.Values(children[dir]))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(names)))
		for _, name := range names {
			b = appendName(b, path.Base(name))
			k, s := stampFor(name)
			b = appendStamp(b, k, s)
		}
	}
	binary.LittleEndian.PutUint32(b[len(indexMagic):], crc32.Checksum(b[len(indexMagic)+4:], castagnoli))
	return b, nil
}

// bytecode reports whether name is a .pyc in a __pycache__ that is compared
// itself. Python and package managers replace such files by renaming, which
// changes the directory, and write another one when the source changes. They
// are two of five files, and every start of tako compares all that is left.
func (l *look) bytecode(name string) bool {
	dir := path.Dir(name)
	_, listed := l.listed[dir]
	return listed && path.Base(dir) == "__pycache__" && path.Ext(name) == ".pyc" && l.seen[name].file()
}

func appendName(b []byte, name string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)+1))
	return append(append(b, name...), 0)
}

func appendStamp(b []byte, k byte, s stamp) []byte {
	b = append(b, k)
	if k == stampAbsent {
		return b
	}
	b = binary.LittleEndian.AppendUint32(b, s.mode)
	if k == stampWeak {
		return b
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(s.size))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.mtime))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.ctime))
	return binary.LittleEndian.AppendUint64(b, s.ino)
}

// index is a decoded index. Its looks stay encoded: they are compared once.
type index struct {
	indexHead
	looks []byte
}

// decodeIndex checks and opens an index. Damage is errIndex.
func decodeIndex(b []byte) (*index, error) {
	const fixed = len(indexMagic) + 8
	if len(b) < fixed || string(b[:len(indexMagic)]) != indexMagic {
		return nil, errIndex
	}
	body := b[len(indexMagic)+4:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(indexMagic):]) {
		return nil, errIndex
	}
	n := binary.LittleEndian.Uint32(body)
	body = body[4:]
	if uint64(n) > uint64(len(body)) {
		return nil, errIndex
	}
	idx := &index{looks: body[n:]}
	if err := json.Unmarshal(body[:n], &idx.indexHead); err != nil {
		return nil, errIndex
	}
	return idx, nil
}
