package environment

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	erofs "github.com/erofs/go-erofs"

	"github.com/takovm/tako/internal/job"
)

// Contents is what is in an image or a layer of this package, read back.
type Contents struct {
	f    *os.File
	root fs.FS
}

// OpenContents opens the EROFS file at image, which this package has made. The
// caller closes it, and not before the files of its entries were read.
func OpenContents(image string) (*Contents, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "reading the image %s: %w", image, err)
	}
	root, err := erofs.Open(f)
	if err != nil {
		f.Close()
		return nil, job.Errorf(job.KindUnavailable, "reading the image %s: %w", image, err)
	}
	return &Contents{f: f, root: root}, nil
}

// Close lets go of the image.
func (c *Contents) Close() error { return c.f.Close() }

// Entries are all paths but the root, sorted by directory. Their files can be
// read until Close.
func (c *Contents) Entries() ([]TreeEntry, error) {
	var all []TreeEntry
	err := fs.WalkDir(c.root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		e, err := c.entry(name, d)
		if err == nil {
			all = append(all, e)
		}
		return err
	})
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "reading the image %s: %w", c.f.Name(), err)
	}
	return all, nil
}

func (c *Contents) entry(name string, d fs.DirEntry) (e TreeEntry, err error) {
	info, err := d.Info()
	if err != nil {
		return e, err
	}
	st, ok := info.Sys().(*erofs.Stat)
	if !ok {
		return e, fmt.Errorf("%s: %w", name, errCorrupt)
	}
	e = TreeEntry{Path: "/" + name, Type: info.Mode().Type(), Mode: info.Mode().Perm(), UID: st.UID, GID: st.GID, Mtime: int64(st.Mtime)}
	switch e.Type {
	case fs.ModeDir:
	case fs.ModeSymlink:
		e.Target, err = fs.ReadLink(c.root, name)
	case 0:
		e.Size = info.Size()
		e.Open = func() (io.ReadCloser, error) { return c.root.Open(name) }
	default: // there is nothing else in an image of ours
		err = fmt.Errorf("%s: %w", name, errCorrupt)
	}
	return e, err
}

// Resolve is where the path name of the image leads to, links in it followed
// inside the image. What is not there is left as it is. found is the type of
// what is there.
func (c *Contents) Resolve(name string) (real string, found fs.FileMode, ok bool) {
	at, rest := "/", strings.Split(strings.Trim(name, "/"), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		info, err := fs.Lstat(c.root, next[1:])
		if err != nil {
			return path.Join(append([]string{next}, rest...)...), 0, false
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		target, err := fs.ReadLink(c.root, next[1:])
		if links++; err != nil || links > maxLinks {
			return name, 0, false
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	if at == "/" {
		return at, fs.ModeDir, true
	}
	info, err := fs.Lstat(c.root, at[1:])
	if err != nil {
		return at, 0, false
	}
	return at, info.Mode().Type(), true
}

// Mounted reports a path in a directory that every sandbox has something of its
// own in, whatever an image has there.
func Mounted(name string) bool { return mounted(name) }
