package recipe

import (
	"io/fs"
	"path"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

// placing finds out where in the image everything comes: a destination is a path
// of the base, whose links are followed inside it.
type placing struct {
	base    *environment.Contents // nil for an empty one
	taken   map[string]fs.FileMode
	entries []environment.TreeEntry
}

// place answers the layer of a recipe's files.
func place(r *Recipe, base *environment.Contents, s *sources) ([]environment.TreeEntry, error) {
	p := &placing{base: base, taken: map[string]fs.FileMode{}}
	for _, it := range s.items {
		if err := p.item(&it); err != nil {
			return nil, r.wrong(it.line, "%w", err)
		}
	}
	if err := p.workdir(r.WorkingDir); err != nil {
		return nil, job.Errorf(job.KindInvalid, "%s: %w", r.Shown, err)
	}
	return p.entries, nil
}

func (p *placing) resolve(name string) (real string, found fs.FileMode, ok bool) {
	if p.base == nil {
		return name, 0, false
	}
	return p.base.Resolve(name)
}

// item places what one item of files has.
func (p *placing) item(it *item) error {
	above, err := p.parent(path.Dir(it.Path))
	if err != nil {
		return err
	}
	dirs := map[string]string{} // where the source's directories come
	for _, e := range it.entries {
		at := path.Join(above, path.Base(it.Path))
		if e.Path != "." {
			at = path.Join(dirs[path.Dir(e.Path)], path.Base(e.Path))
		}
		name := e.Path
		if e.Type != fs.ModeDir {
			if err := p.put(at, e); err != nil {
				return err
			}
			continue
		}
		if dirs[name], err = p.directory(at, e); err != nil {
			return err
		}
	}
	return nil
}

// parent is where the directory of a destination is.
func (p *placing) parent(name string) (string, error) {
	real, found, ok := p.resolve(name)
	if ok && found != fs.ModeDir {
		return "", job.Errorf(job.KindInvalid, "%s is no directory in the base", name)
	}
	return real, nil
}

// directory places a directory; one that the base has stays as it is.
func (p *placing) directory(at string, e environment.TreeEntry) (string, error) {
	real, found, ok := p.resolve(at)
	if !ok {
		real = at
	}
	if had, there := p.taken[real]; ok && found != fs.ModeDir || there && had != fs.ModeDir {
		return "", job.Errorf(job.KindInvalid, "%s is to be a directory, and there is a file already", at)
	}
	if !ok && p.taken[real] == 0 {
		return real, p.put(real, e)
	}
	return real, p.claim(real, fs.ModeDir)
}

// put places a file, a link or a new directory.
func (p *placing) put(at string, e environment.TreeEntry) error {
	if _, found, ok := p.resolve(at); ok && found == fs.ModeDir && e.Type != fs.ModeDir {
		return job.Errorf(job.KindInvalid, "%s is a directory in the base, and a file would come in its place; write the whole path of the file", at)
	}
	if _, there := p.taken[at]; there {
		return job.Errorf(job.KindInvalid, "two sources come to %s", at)
	}
	if err := p.claim(at, e.Type); err != nil {
		return err
	}
	e.Path = at
	p.entries = append(p.entries, e)
	return nil
}

// claim marks a path and those above it as taken.
func (p *placing) claim(at string, as fs.FileMode) error {
	if msg := takenProblem(at); msg != "" {
		return job.Errorf(job.KindInvalid, "%s", msg)
	}
	p.taken[at] = as
	for dir := path.Dir(at); dir != "/"; dir = path.Dir(dir) {
		had, there := p.taken[dir]
		if there && had != fs.ModeDir {
			return job.Errorf(job.KindInvalid, "%s is to be in %s, which is no directory", at, dir)
		}
		p.taken[dir] = fs.ModeDir
	}
	return nil
}

// workdir makes the directory that commands start in, if nobody has it.
func (p *placing) workdir(name string) error {
	if name == "" || environment.Mounted(name) {
		return nil
	}
	_, err := p.directory(name, environment.TreeEntry{Type: fs.ModeDir, Mode: 0o755})
	return err
}
