package environment

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	erofs "github.com/erofs/go-erofs"
)

// blockSize is the only one that gVisor mounts.
const blockSize = 4096

// writeImage writes m to f as an EROFS image, uncompressed. The build time is
// constant, so that the same manifest gives the same bytes.
func writeImage(ctx context.Context, f *os.File, m *manifest, open func(*entry) (io.ReadCloser, error)) error {
	out := &output{ctx: ctx, f: f, buf: bufio.NewWriterSize(f, 1<<20)}
	w := erofs.Create(out, erofs.WithBlockSize(blockSize), erofs.WithBuildTime(0, 0), erofs.WithTempDir(path.Dir(f.Name())))
	src := newTree(m, open)
	if err := w.CopyFrom(src); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := out.buf.Flush(); err != nil {
		return err
	}
	return trim(f, m)
}

// output buffers the image and stops when ctx does.
type output struct {
	ctx context.Context
	f   *os.File
	buf *bufio.Writer
}

func (o *output) Write(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	return o.buf.Write(p)
}

func (o *output) Seek(offset int64, whence int) (int64, error) {
	if err := o.buf.Flush(); err != nil {
		return 0, err
	}
	return o.f.Seek(offset, whence)
}

// tree is a manifest as a file system, the form in which go-erofs takes whole
// trees without a spool file.
type tree struct {
	nodes map[string]*node
	open  func(*entry) (io.ReadCloser, error)
}

// node is an entry as fs.FileInfo, fs.DirEntry and fs.File.
type node struct {
	*entry
	children []fs.DirEntry // sorted, because the manifest is
	dirs     int
}

func newTree(m *manifest, open func(*entry) (io.ReadCloser, error)) *tree {
	t := &tree{nodes: make(map[string]*node, len(m.entries)), open: open}
	for _, e := range m.entries {
		n := &node{entry: e}
		t.nodes[e.path] = n
		if e.path == "/" {
			continue
		}
		parent := t.nodes[path.Dir(e.path)]
		parent.children = append(parent.children, n)
		if e.kind == directory {
			parent.dirs++
		}
	}
	return t
}

func (t *tree) node(op, name string) (*node, error) {
	if n := t.nodes[path.Join("/", name)]; n != nil {
		return n, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (t *tree) Stat(name string) (fs.FileInfo, error) { return t.node("stat", name) }

func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.node("readdir", name)
	if err != nil {
		return nil, err
	}
	return n.children, nil
}

func (t *tree) ReadLink(name string) (string, error) {
	n, err := t.node("readlink", name)
	if err != nil {
		return "", err
	}
	return n.target, nil
}

// Open returns a file that opens its source at the first Read: go-erofs opens
// every file before it reads the first.
func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.node("open", name)
	if err != nil {
		return nil, err
	}
	return &content{node: n, open: t.open}, nil
}

type content struct {
	node *node
	open func(*entry) (io.ReadCloser, error)
	r    io.ReadCloser
	pad  io.Reader
}

func (c *content) Stat() (fs.FileInfo, error) { return c.node, nil }

func (c *content) Read(p []byte) (n int, err error) {
	if c.r == nil {
		if c.r, err = c.open(c.node.entry); err != nil {
			return 0, err
		}
		c.pad = bytes.NewReader(make([]byte, padded(c.node.size)-c.node.size))
	}
	if n, err = c.r.Read(p); errors.Is(err, io.EOF) {
		m, err := c.pad.Read(p[n:])
		return n + m, err
	}
	return n, err
}

func (c *content) Close() error {
	if c.r == nil {
		return nil
	}
	return c.r.Close()
}

func (n *node) Name() string               { return path.Base(n.path) }
func (n *node) Size() int64                { return padded(n.size) }
func (n *node) ModTime() time.Time         { return time.Unix(n.mtime, 0) }
func (n *node) IsDir() bool                { return n.kind == directory }
func (n *node) Type() fs.FileMode          { return n.Mode().Type() }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }

func (n *node) Mode() fs.FileMode {
	switch n.kind {
	case directory:
		return fs.ModeDir | fs.FileMode(n.mode)
	case link:
		return fs.ModeSymlink | 0o777
	}
	return fs.FileMode(n.mode)
}

func (n *node) Sys() any {
	links := 1
	if n.kind == directory {
		links = 2 + n.dirs
	}
	return &erofs.Stat{Mtime: uint64(n.mtime), Nlink: links, UID: n.uid, GID: n.gid}
}

// source reads an entry's content and fails with errChanged if the host's file
// is another one, before or after.
type source struct {
	f    *os.File
	host *look
	name string
	left int64
}

// openEntry opens the content of e.
func openEntry(host *look, e *entry) (io.ReadCloser, error) {
	if e.open != nil {
		return e.open()
	}
	if e.data != nil {
		return io.NopCloser(bytes.NewReader(e.data)), nil
	}
	f, err := host.open(e.path)
	if err != nil {
		return nil, err
	}
	return &source{f: f, host: host, name: e.path, left: e.size}, nil
}

func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.f.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if errors.Is(err, io.EOF) {
		return n, fmt.Errorf("%s: %w", s.name, errChanged)
	}
	if err == nil && s.left == 0 {
		err = s.host.unchanged(s.name, s.f)
	}
	return n, err
}

func (s *source) Close() error { return s.f.Close() }
