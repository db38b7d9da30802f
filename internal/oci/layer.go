package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"
)

// What a layer says about those below (the OCI image specification, layer.md).
const (
	whiteout = ".wh."
	aufs     = ".wh..wh." // what aufs kept for itself
	opaque   = ".wh..wh..opq"
)

// merger merges the layers of one image.
type merger struct {
	ctx    context.Context
	limits Limits
	spool  *spool
	root   *node
	note   func(string)

	entries  int
	unpacked int64 // bytes out of all layers
	in, out  int64 // bytes of the layer at hand, and what it had of files
	input    int64 // bytes of all layers
	notes    int
}

func newMerger(ctx context.Context, limits Limits, spool *spool, note func(string)) *merger {
	return &merger{ctx: ctx, limits: limits, spool: spool, root: newDirectory(), note: note}
}

// add merges one layer, a plain tar, over those before.
func (m *merger) add(r io.Reader) error {
	layer := newDirectory()
	layer.implied = true
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = m.ctx.Err()
		}
		if err == nil {
			err = m.count()
		}
		if err == nil {
			err = m.entry(layer, h, t)
		}
		if err != nil {
			return m.readable(err)
		}
	}
	m.root.apply(layer)
	return nil
}

// readable names what is wrong with a layer that cannot be read.
func (m *merger) readable(err error) error {
	switch {
	case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		return corrupt("it is not a tar archive, or cut off: %w", err)
	}
	return err
}

// count counts one entry.
func (m *merger) count() error {
	if m.entries++; m.entries > m.limits.Entries {
		return tooMuch("the image has more than %d files and directories", m.limits.Entries)
	}
	return nil
}

// entry takes one entry of a layer.
func (m *merger) entry(layer *node, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	parts, err := m.split(h.Name)
	if err != nil || parts == nil {
		return err
	}
	if len(parts) == 0 { // the root itself
		if h.Typeflag == tar.TypeDir {
			describe(layer, h)
		}
		return nil
	}
	dir, base := parts[:len(parts)-1], parts[len(parts)-1]
	for _, part := range dir {
		if strings.HasPrefix(part, whiteout) {
			return nil // something that is below what is gone, or aufs's own
		}
	}
	if strings.HasPrefix(base, whiteout) {
		return m.whiteout(layer, dir, base)
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
	default:
		m.drop(h.Typeflag, parts)
		return nil
	}
	parent, err := layer.descend(dir, m.count)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return m.directory(parent, base, h)
	case tar.TypeLink:
		return m.hardLink(layer, parent, parts, h)
	}
	n := &node{kind: tar.TypeReg}
	describe(n, h)
	if h.Typeflag == tar.TypeSymlink {
		n.kind, n.target = tar.TypeSymlink, h.Linkname
		if n.target == "" || len(n.target) > m.limits.Path || strings.ContainsRune(n.target, 0) {
			return corrupt("the link %s leads to a path of %d bytes", quoted(shown(parts)), len(n.target))
		}
	} else if err := m.content(n, shown(parts), h.Size, content); err != nil {
		return err
	}
	parent.children[base] = n
	return nil
}

// split makes the parts of a path, none for the root, nil for one that is left
// out. A path that begins with / is one below the root; one with .. is refused.
func (m *merger) split(name string) ([]string, error) {
	if len(name) > m.limits.Path {
		return nil, corrupt("a path has %d bytes: it may have %d", len(name), m.limits.Path)
	}
	if strings.ContainsRune(name, 0) {
		return nil, corrupt("the path %s holds a NUL", quoted(name))
	}
	parts := []string{}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "", part == ".":
			continue
		case part == "..":
			return nil, corrupt("the path %s leads out of the image", quoted(name))
		case len(part) > maxName:
			return nil, corrupt("the path %s has a part of %d bytes: it may have %d", quoted(name), len(part), maxName)
		}
		parts = append(parts, part)
	}
	if !utf8.ValidString(name) {
		m.say("left out %s: its name is not UTF-8", quoted(name))
		return nil, nil
	}
	return parts, nil
}

// quoted is a name of a stranger in a message.
func quoted(name string) string {
	const most = 120
	if len(name) > most {
		return fmt.Sprintf("%.*q...", most, name)
	}
	return fmt.Sprintf("%q", name)
}

// whiteout marks what the layer removes of those below.
func (m *merger) whiteout(layer *node, dir []string, base string) error {
	name := strings.TrimPrefix(base, whiteout)
	switch {
	case base == opaque:
	case strings.HasPrefix(base, aufs):
		return nil
	case name == "", name == ".", name == "..":
		return corrupt("the whiteout %s removes nothing that an image could have", quoted(shown(append(dir[:len(dir):len(dir)], base))))
	}
	at, err := layer.descend(dir, m.count)
	if err != nil {
		return err
	}
	if base == opaque {
		at.opaque = true
	} else {
		at.hide(name)
	}
	return nil
}

func (m *merger) directory(parent *node, base string, h *tar.Header) error {
	n := parent.children[base]
	if n == nil || n.kind != tar.TypeDir {
		inTheWay := n != nil
		n = newDirectory()
		n.opaque = inTheWay
		parent.children[base] = n
	}
	n.implied = false
	describe(n, h)
	return nil
}

// hardLink gives what an earlier entry has, of this layer or those below, a
// second name. Both are files of their own afterwards, which nobody can tell
// where nothing can be written.
func (m *merger) hardLink(layer, parent *node, parts []string, h *tar.Header) error {
	target, err := m.split(h.Linkname)
	if err != nil {
		return err
	}
	n := find(layer, m.root, target)
	if n == nil || n.kind == tar.TypeDir {
		return corrupt("%s is a hard link to %s, which is no file of the image", quoted(shown(parts)), quoted(h.Linkname))
	}
	parent.children[parts[len(parts)-1]] = n
	return nil
}

// describe takes a header's attributes, without setuid, setgid and sticky.
func describe(n *node, h *tar.Header) {
	n.mode = uint32(h.Mode) & 0o777
	n.uid, n.gid = h.Uid, h.Gid
	n.mtime = 0
	if s := h.ModTime.Unix(); s > 0 && n.kind != tar.TypeDir && s < 1<<40 {
		n.mtime = s
	}
}

// content moves a file's content into the spool.
func (m *merger) content(n *node, name string, size int64, r io.Reader) error {
	if size < 0 || size > m.limits.Unpacked-m.spool.size {
		return tooMuch("the files of the image have more than %d bytes, with %s", m.limits.Unpacked, quoted(name))
	}
	// A sparse file has more than comes out of the layer.
	if m.out += size; m.out > ratioFloor && m.out/max(m.in, 1) >= m.limits.Ratio {
		return tooMuch("a layer of %d bytes has more than %d times as much in its files, with %s", m.in, m.limits.Ratio, quoted(name))
	}
	n.at, n.size = m.spool.size, size
	return m.spool.take(m.ctx, r, size)
}

// drop leaves out what a sandbox has no use for, and must not have.
func (m *merger) drop(kind byte, parts []string) {
	if parts[0] == "dev" {
		return // a sandbox has a /dev of its own
	}
	what, known := map[byte]string{tar.TypeChar: "a device", tar.TypeBlock: "a device", tar.TypeFifo: "a FIFO"}[kind]
	if !known {
		what = fmt.Sprintf("of the kind %q", kind)
	}
	m.say("left out %s: it is %s", quoted(path.Clean(shown(parts))), what)
}

// say tells of something that was left out, a few times.
func (m *merger) say(format string, args ...any) {
	switch m.notes++; {
	case m.notes < maxNotes:
		m.note(fmt.Sprintf(format, args...))
	case m.notes == maxNotes:
		m.note("more was left out")
	}
}
