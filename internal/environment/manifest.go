package environment

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
)

// rules is the version of what this package packs and how. It is part of
// every digest and index: raise it when the same host should give another
// image.
const rules = "tako environment 5"

type kind byte

const (
	directory kind = 'd'
	file      kind = 'f'
	link      kind = 'l'
)

// entry is one path of the image. There are no extended attributes. In this
// machine's environment owner and group are root, always, and directories have
// no time.
type entry struct {
	path   string
	kind   kind
	mode   uint32 // 0644 or 0755
	uid    uint32
	gid    uint32
	size   int64
	mtime  int64                         // seconds since 1970; Python compares it with its .pyc
	target string                        // of a link
	data   []byte                        // content that is written here; nil for the host's
	open   func() (io.ReadCloser, error) // content from elsewhere
	sum    [sha256.Size]byte
}

// manifest is all that goes into an image, sorted by path, parents included.
type manifest struct {
	entries []*entry
	skipped []string // paths left out because not everybody may read them
}

// bytes is the size of all content.
func (m *manifest) bytes() (n int64) {
	for _, e := range m.entries {
		n += e.size
	}
	return n
}

// onDisk estimates the size of the image: content in whole blocks, and an
// inode and a directory entry for each path.
func (m *manifest) onDisk() (n int64) {
	for _, e := range m.entries {
		n += (e.size+blockSize-1)/blockSize*blockSize + 128 + int64(len(e.path)+len(e.target))
	}
	return n
}

// digest names the image. Every entry's sum must be set.
func (m *manifest) digest() string {
	h := sha256.New()
	fmt.Fprintln(h, rules)
	for _, e := range m.entries {
		content := hex.EncodeToString(e.sum[:])
		if e.kind == link {
			content = e.target
		}
		fmt.Fprintf(h, "%q %c %04o %d %d %q\n", e.path, e.kind, e.mode, e.size, e.mtime, content)
		if e.uid != 0 || e.gid != 0 {
			fmt.Fprintf(h, "%d:%d\n", e.uid, e.gid)
		}
	}
	for _, name := range m.skipped {
		fmt.Fprintf(h, "%q skipped\n", name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// seal makes a manifest of entries: parents are added, and links that lead to
// nothing in the image are dropped, repeatedly, because links lead to links.
// So no link names a place of the host that was not packed. nodeLink leads into a
// layer.
func seal(entries map[string]*entry, skipped []string, dropped func(e *entry)) *manifest {
	addParents(entries)
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			e := entries[name]
			if e.kind == link && name != nodeLink && resolveIn(entries, name) == nil {
				dropped(e)
				delete(entries, name)
				again = true
			}
		}
	}
	m := &manifest{skipped: slices.Sorted(slices.Values(skipped))}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		m.entries = append(m.entries, entries[name])
	}
	return m
}

func addParents(entries map[string]*entry) {
	entries["/"] = &entry{path: "/", kind: directory, mode: 0o755}
	for _, name := range slices.Collect(maps.Keys(entries)) {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			if entries[dir] != nil {
				break
			}
			entries[dir] = &entry{path: dir, kind: directory, mode: 0o755}
		}
	}
}

// resolveIn follows name inside the image; nil if it leads to nothing.
func resolveIn(entries map[string]*entry, name string) *entry {
	to, err := follow(name, func(at string) (string, error) {
		switch e := entries[at]; {
		case e == nil:
			return "", errAbsent
		case e.kind == link:
			return e.target, nil
		}
		return "", nil
	})
	if err != nil {
		return nil
	}
	return entries[to.path]
}

// hash fills in the content sums, reading files by open.
func (m *manifest) hash(open func(e *entry) (io.ReadCloser, error)) error {
	h, buf := sha256.New(), make([]byte, 256<<10)
	for _, e := range m.entries {
		if e.kind != file {
			continue
		}
		r, err := open(e)
		if err != nil {
			return err
		}
		h.Reset()
		_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, buf)
		r.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", e.path, err)
		}
		h.Sum(e.sum[:0])
	}
	return nil
}
