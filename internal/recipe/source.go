package recipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"unicode/utf8"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
)

// sources are the files of this machine that a recipe copies. Each item is read
// below one open directory: a link in it leads nowhere else.
type sources struct {
	ctx    context.Context
	limits oci.Limits
	roots  []*os.Root
	items  []item

	entries int
	bytes   int64
}

// item is what one item of files has. Paths of its entries are relative to its
// destination, "." for that itself, and parents come before what is in them.
type item struct {
	File
	entries []environment.TreeEntry
}

// gather looks at the sources of a recipe. Contents are read later, until close.
func gather(ctx context.Context, r *Recipe, limits oci.Limits) (_ *sources, err error) {
	s := &sources{ctx: ctx, limits: limits}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, f := range r.Files {
		if err := s.add(r, f); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *sources) close() {
	for _, root := range s.roots {
		root.Close()
	}
}

func (s *sources) add(r *Recipe, f File) error {
	root, name, err := s.open(r, f)
	var info fs.FileInfo
	if err == nil {
		info, err = root.Stat(name)
	}
	if err != nil {
		return r.wrong(f.line, "the source %s cannot be read: %w", f.Source, cause(err))
	}
	it := item{File: f}
	switch {
	case info.IsDir() && f.Mode != 0:
		err = job.Errorf(job.KindInvalid, "mode is for a file, and the source is a directory, whose files keep theirs")
	case info.IsDir():
		var dir *os.Root
		if dir, err = root.OpenRoot(name); err == nil {
			s.roots = append(s.roots, dir)
			err = s.walk(dir, ".", &it)
		}
	default:
		err = s.file(root, name, ".", info, &it)
	}
	if err != nil {
		return r.wrong(f.line, "the source %s: %w", f.Source, cause(err))
	}
	s.items = append(s.items, it)
	return nil
}

// open opens the directory that a source is looked for in.
func (s *sources) open(r *Recipe, f File) (root *os.Root, name string, err error) {
	dir, name := r.Dir, f.Source
	if filepath.IsAbs(name) { // the operator means it, links and all
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return nil, "", err
		}
		dir, name = filepath.Split(name)
		if name == "" {
			name = "."
		}
	}
	if root, err = os.OpenRoot(dir); err == nil {
		s.roots = append(s.roots, root)
	}
	return root, filepath.Clean(name), err
}

// walk takes a directory and all that is in it.
func (s *sources) walk(dir *os.Root, name string, it *item) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if err := s.take(it, environment.TreeEntry{Path: name, Type: fs.ModeDir, Mode: 0o755}); err != nil {
		return err
	}
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, base := range names {
		below := path.Join(name, base)
		info, err := dir.Lstat(below)
		switch {
		case err != nil:
		case info.IsDir():
			err = s.walk(dir, below, it)
		case info.Mode().Type() == fs.ModeSymlink:
			err = s.link(dir, below, it)
		default:
			err = s.file(dir, below, below, info, it)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// link takes a link as the text that it is.
func (s *sources) link(dir *os.Root, name string, it *item) error {
	target, err := dir.Readlink(name)
	if err != nil {
		return err
	}
	return s.take(it, environment.TreeEntry{Path: name, Type: fs.ModeSymlink, Mode: 0o777, Target: target})
}

func (s *sources) file(dir *os.Root, name, as string, info fs.FileInfo, it *item) error {
	if !info.Mode().IsRegular() {
		return job.Errorf(job.KindInvalid, "%s is %s, which an image cannot have", name, oddity(info.Mode()))
	}
	e := environment.TreeEntry{Path: as, Mode: 0o644, Size: info.Size(), Open: func() (io.ReadCloser, error) { return open(dir, name, info) }}
	if info.Mode()&0o100 != 0 {
		e.Mode = 0o755
	}
	if it.Mode != 0 {
		e.Mode = it.Mode
	}
	return s.take(it, e)
}

// take adds an entry, within limits.
func (s *sources) take(it *item, e environment.TreeEntry) error {
	if !utf8.ValidString(e.Path) || !utf8.ValidString(e.Target) {
		return job.Errorf(job.KindInvalid, "the name %q is not UTF-8", e.Path)
	}
	if s.entries++; s.entries > s.limits.Entries {
		return job.Errorf(job.KindInvalid, "the recipe copies more than %d files and directories", s.limits.Entries)
	}
	if s.bytes += e.Size; s.bytes > s.limits.Unpacked {
		return job.Errorf(job.KindInvalid, "the recipe copies more than %d bytes", s.limits.Unpacked)
	}
	it.entries = append(it.entries, e)
	return nil
}

func oddity(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// open opens a file that was looked at before.
func open(dir *os.Root, name string, info fs.FileInfo) (io.ReadCloser, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a FIFO by now
	if err != nil {
		return nil, job.Errorf(job.KindInvalid, "the source %s cannot be read: %w", name, cause(err))
	}
	r := &steady{f: f, info: info, left: info.Size()}
	if err := r.same(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// steady reads a file that must not change meanwhile.
type steady struct {
	f    *os.File
	info fs.FileInfo
	left int64
}

func (r *steady) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF):
		err = r.changed()
	case err == nil && r.left == 0:
		err = r.same()
	}
	return n, err
}

func (r *steady) same() error {
	now, err := r.f.Stat()
	if err != nil {
		return fmt.Errorf("looking at %s: %w", r.info.Name(), err)
	}
	if !os.SameFile(now, r.info) || now.Size() != r.info.Size() || !now.ModTime().Equal(r.info.ModTime()) {
		return r.changed()
	}
	return nil
}

func (r *steady) changed() error {
	return job.Errorf(job.KindInvalid, "the source %s has changed while it was copied", r.f.Name()).WithHint("build again when nobody writes to it")
}

func (r *steady) Close() error { return r.f.Close() }

// cause is what an error about a path says beside the path.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
