package environment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

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
	to, err := follow(name, func(at string) (target string, err error) {
		switch typ, err := c.typeOf(at); {
		case err != nil:
			return "", errAbsent
		case typ == fs.ModeSymlink:
			return fs.ReadLink(c.root, at[1:])
		}
		return "", nil
	})
	switch {
	case errors.Is(err, errAbsent):
		return path.Join(append([]string{to.path}, to.rest...)...), 0, false
	case err != nil:
		return name, 0, false
	}
	found, err = c.typeOf(to.path)
	return to.path, found, err == nil
}

// typeOf is the type of what is at a path.
func (c *Contents) typeOf(at string) (fs.FileMode, error) {
	if at == "/" {
		return fs.ModeDir, nil
	}
	info, err := fs.Lstat(c.root, at[1:])
	if err != nil {
		return 0, err
	}
	return info.Mode().Type(), nil
}

// Mounted reports a path in a directory that every sandbox has something of its
// own in, whatever an image has there.
func Mounted(name string) bool { return mounted(name) }
