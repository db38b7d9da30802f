package oci

import (
	"archive/tar"
	"strings"
)

// node is one entry of a tree in memory. A layer is a tree of its own first, with
// marks of what it hides; apply puts it over what is below.
type node struct {
	kind     byte // tar.TypeReg, tar.TypeDir or tar.TypeSymlink
	mode     uint32
	uid, gid int
	mtime    int64
	target   string // of a symbolic link: a text, never followed on the host
	at, size int64  // of content in the spool
	children map[string]*node

	// Of a directory in a layer's own tree:
	implied bool            // no entry of the layer says what it is like
	opaque  bool            // hides all that is below
	hides   map[string]bool // hides these
}

func newDirectory() *node {
	return &node{kind: tar.TypeDir, mode: 0o755, children: map[string]*node{}}
}

// child answers a child of a directory; nil for none.
func (n *node) child(name string) *node {
	if n == nil || n.kind != tar.TypeDir {
		return nil
	}
	return n.children[name]
}

// descend makes the directory at a path of a layer's tree. What is in its way, a
// link for one, is replaced: a path means what it says, not where it might lead.
func (n *node) descend(parts []string, made func() error) (*node, error) {
	for _, part := range parts {
		next := n.children[part]
		if next == nil || next.kind != tar.TypeDir {
			if err := made(); err != nil {
				return nil, err
			}
			next = newDirectory()
			next.implied = n.children[part] == nil
			next.opaque = !next.implied // what was in the way had hidden all below
			n.children[part] = next
		}
		n = next
	}
	return n, nil
}

// hide marks a name of a directory as removed from what is below.
func (n *node) hide(name string) {
	if n.hides == nil {
		n.hides = map[string]bool{}
	}
	n.hides[name] = true
}

// find looks for a path in a layer's tree and then in what is below, as the two
// would be together. Links are not followed.
func find(layer, below *node, parts []string) *node {
	for _, part := range parts {
		if layer != nil && (layer.opaque || layer.hides[part]) {
			below = nil
		}
		layer, below = layer.child(part), below.child(part)
		if layer != nil && layer.kind != tar.TypeDir {
			below = nil
		}
		if layer == nil && below == nil {
			return nil
		}
	}
	if layer != nil && (!layer.implied || below == nil) {
		return layer
	}
	return below
}

// apply puts a layer's tree over the tree n, both directories. It takes as long
// as the layer is large, whatever is below.
func (n *node) apply(layer *node) {
	if layer.opaque {
		n.children = map[string]*node{}
	}
	for name := range layer.hides {
		delete(n.children, name)
	}
	if !layer.implied {
		n.mode, n.uid, n.gid, n.mtime = layer.mode, layer.uid, layer.gid, layer.mtime
	}
	for name, upper := range layer.children {
		lower := n.children[name]
		if upper.kind != tar.TypeDir {
			n.children[name] = upper
			continue
		}
		if lower == nil || lower.kind != tar.TypeDir {
			lower = newDirectory()
			n.children[name] = lower
		}
		lower.apply(upper)
	}
}

// walk calls f for everything below n, in no order.
func (n *node) walk(at string, f func(name string, n *node) error) error {
	for base, child := range n.children {
		name := at + "/" + base
		if err := f(name, child); err != nil {
			return err
		}
		if err := child.walk(name, f); err != nil {
			return err
		}
	}
	return nil
}

// shown is a path as a message has it.
func shown(parts []string) string { return "/" + strings.Join(parts, "/") }
