package environment

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxNotes bounds the notes of one build: a host with thousands of odd files
// is told about the first ones.
const maxNotes = 20

// plan collects what goes into the image of one host.
type plan struct {
	ctx     context.Context
	host    *look
	entries map[string]*entry
	skipped []string
	walked  map[string]bool
	objects []string // files that may be ELF and have not been asked what they need
	note    func(string)
}

func newPlan(ctx context.Context, host *look, note func(string)) *plan {
	notes := 0
	return &plan{
		ctx: ctx, host: host, entries: map[string]*entry{}, walked: map[string]bool{},
		note: func(s string) {
			switch notes++; {
			case notes < maxNotes:
				note(s)
			case notes == maxNotes:
				note("more was left out")
			}
		},
	}
}

// add is the only way into the image.
func (p *plan) add(e *entry, host bool) bool {
	if !allowed(e.path, e.kind, host) {
		return false
	}
	if p.entries[e.path] == nil {
		p.entries[e.path] = e
	}
	return true
}

// take packs what the host has at name, and the links that lead there: a
// file, or a directory with all that belongs into an image. It returns the
// path without links, empty if nothing was packed.
func (p *plan) take(name string) (string, error) {
	real, at, links, err := p.host.resolve(name)
	if err != nil {
		return "", err
	}
	for _, l := range links {
		// Links are taken on trust: seal drops those that lead to nothing.
		target, err := p.host.readlink(l)
		if err != nil {
			return "", err
		}
		p.add(&entry{path: l, kind: link, target: target}, true)
	}
	switch {
	case at.file():
		ok, err := p.takeFile(real, at)
		if !ok {
			return "", err
		}
		return real, err
	case at.dir() && walkable(real):
		return real, p.walk(real)
	}
	return "", nil
}

// walk packs the directory dir, which has no links in its path.
func (p *plan) walk(dir string) error {
	if p.walked[dir] || skipped(dir) {
		return nil
	}
	p.walked[dir] = true
	at, err := p.host.lstat(dir)
	if err != nil {
		return err
	}
	if !p.host.readable(dir, at) {
		p.skip(dir)
		return nil
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	names, err := p.host.readdir(dir)
	if err != nil {
		return err
	}
	for _, base := range names {
		if err := p.walkEntry(path.Join(dir, base)); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) walkEntry(name string) error {
	at, err := p.host.lstat(name)
	if err != nil {
		return err
	}
	switch {
	case at.dir():
		return p.walk(name)
	case at.file():
		_, err = p.takeFile(name, at)
	case at.link():
		_, err = p.take(name)
	}
	return err
}

// takeFile packs one regular file if the host lets everybody read it and it
// carries no privilege.
func (p *plan) takeFile(name string, at stamp) (bool, error) {
	if p.entries[name] != nil {
		return true, nil
	}
	e := &entry{path: name, kind: file, mode: 0o644, size: at.size, mtime: max(at.mtime/1e9, 0)}
	if at.mode&0o111 != 0 {
		e.mode = 0o755
	}
	if !allowed(name, file, true) {
		return false, nil
	}
	if at.mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		p.note(fmt.Sprintf("left out %s: it is setuid or setgid", name))
		return false, nil
	}
	if !p.host.readable(name, at) {
		p.skip(name)
		return false, nil
	}
	if n, err := unix.Lgetxattr(p.host.host(name), "security.capability", nil); err == nil && n > 0 {
		p.note(fmt.Sprintf("left out %s: it carries file capabilities", name))
		return false, nil
	}
	if strings.HasSuffix(name, ".pth") {
		if ok, err := p.pathFile(name); !ok {
			return false, err
		}
	}
	if e.mode == 0o755 || strings.Contains(path.Base(name), ".so") {
		p.objects = append(p.objects, name)
	}
	return p.add(e, true), nil
}

func (p *plan) skip(name string) {
	p.skipped = append(p.skipped, name)
	p.note(fmt.Sprintf("left out %s: not everybody may read it", name))
}

// pathFile reports whether a .pth file is packed. One that names a directory
// outside /usr (an editable installation) would do nothing inside but tell
// where on the host somebody works. A line that starts with import is code of
// a package. Format: https://docs.python.org/3/library/site.html
func (p *plan) pathFile(name string) (bool, error) {
	content, err := p.read(name)
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(content) {
		dir := strings.TrimSpace(string(line))
		if dir == "" || dir[0] == '#' || strings.HasPrefix(dir, "import ") || strings.HasPrefix(dir, "import\t") {
			continue
		}
		if !path.IsAbs(dir) {
			dir = path.Join(path.Dir(name), dir)
		}
		if !slices.ContainsFunc(trees, func(tree string) bool { return within(path.Clean(dir), tree) }) {
			p.note(fmt.Sprintf("left out %s: it names a directory that is not packed", name))
			return false, nil
		}
	}
	return true, nil
}

// maxSmall bounds the host's files that are read whole, in bytes.
const maxSmall = 1 << 20

// read returns the content of a small file that was looked at before.
func (p *plan) read(name string) ([]byte, error) {
	f, err := p.host.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, min(p.host.seen[name].size, maxSmall))
	n, err := f.ReadAt(content, 0)
	if n < len(content) {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return content, nil
}
