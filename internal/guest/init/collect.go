package main

import (
	"slices"
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

const (
	// resultName goes first, so that no other file uses up its share.
	resultName = "result.json"
	// maxEntries bounds how many entries one collection looks at.
	maxEntries = 100_000
	// maxDepth bounds how deep any collection goes.
	maxDepth = 32
)

// collector sends the regular files below a directory, in the order of their
// names within each. Nothing of the program runs any more, but what it left
// was made to be looked at.
type collector struct {
	g      *guest
	ask    wire.Collect
	sent   wire.CollectEnd
	begun  uint32 // files announced
	left   uint64 // bytes that may still be announced
	listed int    // entries read from directories
}

func (g *guest) collect(payload []byte) error {
	c := collector{g: g}
	if err := c.ask.Decode(payload); err != nil {
		return err
	}
	// A root has no part above it, so the path of anything in it is split.
	parts, ok := wire.SplitPath(c.ask.Root + "/x")
	if !ok || g.program.phase == running || g.program.phase == ending || g.program.phase == gathering {
		return wire.ErrValue
	}
	c.left = c.ask.MaxTotalBytes
	c.ask.MaxDepth = min(c.ask.MaxDepth, maxDepth)
	if dir, errno := reopen(parts[:len(parts)-1]); errno == 0 {
		c.entry(dir, resultName, "", 0, false)
		c.walk(dir, "", 0)
		syscall.Close(dir)
	} else if errno != syscall.ENOENT {
		c.skip("", wire.ReasonUnreadable)
	}
	c.deliver(c.sent.Append(nil))
	return nil
}

// isEmpty reports whether there is nothing in a directory, and no doubt of that.
func isEmpty(dir string) bool {
	fd, errno := openat(-1, dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errno != 0 {
		return false
	}
	defer syscall.Close(fd)
	names, more, errno := entries(fd, 1)
	return errno == 0 && len(names) == 0 && !more
}

// walk visits the entries of the open directory dir, whose path below the root
// is prefix, with a '/' at its end.
func (c *collector) walk(dir int, prefix string, depth int) {
	names, more, errno := entries(dir, maxEntries-c.listed)
	if errno != 0 {
		c.skip(prefix, wire.ReasonUnreadable)
		return
	}
	c.listed += len(names)
	slices.Sort(names)
	for _, name := range names {
		if depth > 0 || name != resultName {
			c.entry(dir, name, prefix, depth, true)
			continue
		}
		// Sent already, unless it is a directory.
		var st syscall.Stat_t
		if statat(dir, name, &st) == 0 && st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			c.entry(dir, name, prefix, depth, true)
		}
	}
	if more {
		c.skip(prefix, wire.ReasonEntries)
	}
}

// entry collects one entry, a directory with everything below it if deep.
func (c *collector) entry(dir int, name, prefix string, depth int, deep bool) {
	path := prefix + name
	var st syscall.Stat_t
	if errno := statat(dir, name, &st); errno != 0 {
		if deep {
			c.skip(path, wire.ReasonUnreadable)
		}
		return
	}
	kind := st.Mode & syscall.S_IFMT
	switch {
	case !deep && kind == syscall.S_IFDIR:
	case name[0] == '.':
		c.skip(path, wire.ReasonHidden)
	case !wire.ValidName(path):
		c.skip(path, wire.ReasonName)
	case kind == syscall.S_IFLNK:
		c.skip(path, wire.ReasonSymlink)
	case kind == syscall.S_IFDIR && depth >= int(c.ask.MaxDepth):
		c.skip(path, wire.ReasonDepth)
	case kind == syscall.S_IFDIR:
		c.enter(dir, name, path+"/", depth+1)
	case kind != syscall.S_IFREG:
		c.skip(path, wire.ReasonSpecial)
	default:
		c.file(dir, name, path)
	}
}

func (c *collector) enter(dir int, name, prefix string, depth int) {
	sub, errno := openat(dir, name, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errno != 0 {
		c.skip(prefix, wire.ReasonUnreadable)
		return
	}
	c.walk(sub, prefix, depth)
	syscall.Close(sub)
}

// file sends one file, if what was opened is one and fits.
func (c *collector) file(dir int, name, path string) {
	fd, errno := openat(dir, name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errno != 0 {
		c.skip(path, wire.ReasonUnreadable)
		return
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		c.skip(path, wire.ReasonSpecial)
		return
	}
	size := uint64(st.Size)
	switch {
	case c.begun >= c.ask.MaxFiles:
		c.skip(path, wire.ReasonCount)
	case size > c.ask.MaxFileBytes:
		c.skip(path, wire.ReasonSize)
	case size > c.left:
		c.skip(path, wire.ReasonTotal)
	default:
		c.begun++
		c.left -= size
		c.deliver(wire.FileBegin{Size: size, Name: path}.Append(nil))
		c.content(fd, size)
	}
}

// content sends exactly size bytes, or says that they are not there.
func (c *collector) content(fd int, size uint64) {
	out := &c.g.out
	for left := size; left > 0; {
		room := out.space()[wire.HeaderSize:]
		if uint64(len(room)) > left {
			room = room[:left]
		}
		n, errno := read(fd, room)
		if errno != 0 || n == 0 {
			reason := wire.ReasonChanged
			if errno != 0 {
				reason = wire.ReasonUnreadable
			}
			c.sent.Skipped++
			c.deliver(wire.FileBad{Reason: reason}.Append(nil))
			return
		}
		left -= uint64(n)
		out.commit(wire.TypeFileData, n)
		c.deliver(nil)
	}
	c.sent.Files++
	c.sent.Bytes += size
	c.deliver(wire.AppendEmpty(nil, wire.TypeFileEnd))
}

func (c *collector) skip(path string, reason wire.Reason) {
	c.sent.Skipped++
	if c.sent.Skipped <= wire.MaxSkips {
		c.deliver(wire.Skipped{Reason: reason, Name: path}.Append(nil))
	}
}

// deliver sends a frame, after what is in the outbox, however long the host
// takes. The outbox is empty afterwards.
func (c *collector) deliver(frame []byte) {
	if !c.g.out.drain() {
		end(exitDone)
	}
	if len(frame) > 0 {
		c.g.out.add(frame)
		if !c.g.out.drain() {
			end(exitDone)
		}
	}
}
