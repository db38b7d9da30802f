package environment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// errChanged says that a file is not the one that was looked at before. The
// scan starts again.
var errChanged = errors.New("changed while it was being packed")

// stamp is what a look at one path saw. The zero stamp is an absent path.
type stamp struct {
	mode         uint32 // type and permissions, as in struct stat
	size         int64  // bytes
	mtime, ctime int64  // nanoseconds since 1970
	ino          uint64
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{mode: st.Mode, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), ino: st.Ino}
}

func (s stamp) absent() bool { return s.mode == 0 }
func (s stamp) dir() bool    { return s.mode&unix.S_IFMT == unix.S_IFDIR }
func (s stamp) file() bool   { return s.mode&unix.S_IFMT == unix.S_IFREG }
func (s stamp) link() bool   { return s.mode&unix.S_IFMT == unix.S_IFLNK }

// othersRead reports whether everybody on the host may read s. Only that is
// packed: root then packs what an ordinary user would, and a file that its
// owner keeps from others does not become readable inside.
func (s stamp) othersRead() bool {
	if s.dir() {
		return s.mode&0o005 == 0o005
	}
	return s.mode&0o004 != 0
}

// othersSearch reports whether everybody may reach what is in the directory s.
func (s stamp) othersSearch() bool { return s.mode&0o001 != 0 }

// look reads a host's tree and remembers every look, absent paths included:
// the memory becomes the index. Paths are absolute and slash-separated, and
// mean what they mean in a system whose root is root, so a link to /usr stays
// inside a fake tree.
type look struct {
	root   string
	seen   map[string]stamp
	listed map[string][]string // directories whose listing was read
}

func newLook(root string) *look {
	return &look{root: root, seen: map[string]stamp{}, listed: map[string][]string{}}
}

func (l *look) host(name string) string { return path.Join(l.root, name) }

// lstat looks at a path whose parent is known to be a real directory.
func (l *look) lstat(name string) (stamp, error) {
	if s, ok := l.seen[name]; ok {
		return s, nil
	}
	var st unix.Stat_t
	var s stamp
	switch err := unix.Lstat(l.host(name), &st); {
	case err == nil:
		s = stampOf(&st)
	case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.EACCES):
		return stamp{}, fmt.Errorf("looking at %s: %w", name, err)
	}
	if name != "/" {
		l.seen[name] = s
	}
	return s, nil
}

// readdir returns the sorted names in a real directory.
func (l *look) readdir(dir string) ([]string, error) {
	if names, ok := l.listed[dir]; ok {
		return names, nil
	}
	f, err := l.open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	slices.Sort(names)
	l.listed[dir] = names
	return names, nil
}

// open opens a file or directory that was looked at before, and fails with
// errChanged if another one has taken its place.
func (l *look) open(name string) (*os.File, error) {
	f, err := os.OpenFile(l.host(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
			return nil, fmt.Errorf("%s: %w", name, errChanged)
		}
		return nil, err
	}
	if err := l.unchanged(name, f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unchanged compares an open file with what was seen at name.
func (l *look) unchanged(name string, f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	if stampOf(&st) != l.seen[name] {
		return fmt.Errorf("%s: %w", name, errChanged)
	}
	return nil
}

// readlink reads the link at name, which was seen to be one.
func (l *look) readlink(name string) (string, error) {
	target, err := os.Readlink(l.host(name))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, errChanged)
	}
	return target, nil
}

// readable reports whether everybody may read what was seen at name, and this
// process, too: access lists and security modules have a say beside the mode.
func (l *look) readable(name string, at stamp) bool {
	return at.othersRead() && unix.Faccessat(unix.AT_FDCWD, l.host(name), unix.R_OK, unix.AT_EACCESS) == nil
}

// resolve walks name part by part. It returns the path without links, what is
// there and the links on the way. What is not there, or in a directory that
// not everybody may enter, is the zero stamp.
func (l *look) resolve(name string) (real string, at stamp, links []string, err error) {
	to, err := follow(path.Clean(name), func(next string) (string, error) {
		at, err := l.lstat(next)
		switch {
		case err != nil:
			return "", err
		case at.absent(), at.dir() && !at.othersSearch():
			return "", errAbsent
		case at.link():
			return l.readlink(next)
		}
		return "", nil
	})
	switch {
	case errors.Is(err, errAbsent), errors.Is(err, errLinks):
		return to.path, stamp{}, to.links, nil
	case err != nil:
		return to.path, stamp{}, to.links, err
	}
	at, err = l.lstat(to.path)
	return to.path, at, to.links, err
}
