package environment

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// npmPrograms are where a machine's npm is: links to a file of the package.
var npmPrograms = []string{"/usr/bin/npm", "/usr/local/bin/npm"}

// npmDir is where npm's modules are in its layer, below PackagesDir.
const npmDir = "/lib/node_modules"

// NPMProgram is npm's own program in a sandbox that has the layer of Host.NPM.
const NPMProgram = PackagesDir + npmDir + "/npm/bin/npm-cli.js"

// NPM makes a layer of this machine's npm, in the cache of environments: for
// installations, which have no other layer, and for nobody else. It is no part of
// the environment: jobs do not need it, and it is as large as Python. ok is
// false where the machine has none. Errors are those of Ensure.
func (h *Host) NPM(ctx context.Context) (l Layer, ok bool, err error) {
	host := newLook(h.root())
	for _, name := range npmPrograms {
		real, at, _, err := host.resolve(name)
		if err != nil {
			return Layer{}, false, failed(ctx, err)
		}
		dir := path.Dir(path.Dir(real))
		if !at.file() || path.Base(real) != "npm-cli.js" || path.Base(dir) != "npm" || !walkable(dir) {
			continue
		}
		p := &npmPlan{host: host, root: path.Dir(dir), entries: map[string]TreeEntry{}}
		if err := p.collect(); err != nil {
			return Layer{}, false, failed(ctx, err)
		}
		l, err := PackLayer(ctx, h.Cache, slices.Collect(maps.Values(p.entries)), nil)
		return l, err == nil, err
	}
	return Layer{}, false, nil
}

// npmPlan collects npm. As its authors ship it, all that it needs is below its own
// directory, in some node_modules. Debian has a package for each module, side by
// side in root: what npm needs of them is found in their package.json.
type npmPlan struct {
	host    *look
	root    string // the directory that npm is in
	entries map[string]TreeEntry
	todo    []string // names below root
	done    map[string]bool
}

func (p *npmPlan) collect() error {
	p.todo, p.done = []string{"npm"}, map[string]bool{}
	for len(p.todo) > 0 {
		name := p.todo[0]
		p.todo = p.todo[1:]
		if p.done[name] {
			continue
		}
		p.done[name] = true
		if err := p.take(path.Join(p.root, name), path.Join(npmDir, name)); err != nil {
			return err
		}
	}
	if path.Base(p.root) != "node_modules" { // side by side is found, then
		p.entries[npmDir+"/node_modules"] = TreeEntry{Path: npmDir + "/node_modules", Type: fs.ModeSymlink, Target: "."}
	}
	return nil
}

// take packs what is at from as to. A link stays one where it leads somewhere
// below root, which is then packed, too.
func (p *npmPlan) take(from, to string) error {
	if within(from, "/usr/share/nodejs/@types") {
		return nil
	}
	at, err := p.host.lstat(from)
	if err != nil {
		return err
	}
	if at.link() {
		target, err := p.host.readlink(from)
		if err != nil {
			return err
		}
		if aim := path.Join(path.Dir(from), target); !path.IsAbs(target) && within(aim, p.root) {
			p.entries[to] = TreeEntry{Path: to, Type: fs.ModeSymlink, Target: target}
			p.want(strings.TrimPrefix(aim, p.root+"/"))
			return nil
		}
		if from, at, _, err = p.host.resolve(from); err != nil {
			return err
		}
	}
	switch {
	case at.dir() && walkable(from) && p.host.readable(from, at):
		return p.walk(from, to)
	case at.file() && walkable(path.Dir(from)) && p.host.readable(from, at) && !unwanted(from) && !strings.HasSuffix(from, ".d.ts"):
		e := TreeEntry{Path: to, Mode: fs.FileMode(at.mode).Perm(), Size: at.size, Open: func() (io.ReadCloser, error) { return p.host.open(from) }}
		p.entries[to] = e
		if path.Base(to) == "package.json" {
			return p.needs(e)
		}
	}
	return nil
}

func (p *npmPlan) walk(from, to string) error {
	if p.done[from] {
		return nil // a link leads from a directory to itself
	}
	p.done[from] = true
	defer delete(p.done, from)
	names, err := p.host.readdir(from)
	if err != nil {
		return err
	}
	for _, base := range names {
		if err := p.take(path.Join(from, base), path.Join(to, base)); err != nil {
			return err
		}
	}
	return nil
}

// want has the package that a path below root is in packed, too. What a scope has
// beside its packages belongs to each of them.
func (p *npmPlan) want(name string) {
	parts := strings.SplitN(name, "/", 3)
	if strings.HasPrefix(name, "@") && len(parts) > 1 {
		p.todo = append(p.todo, parts[0]+"/"+parts[1], parts[0]+"/node_modules")
		return
	}
	p.todo = append(p.todo, parts[0])
}

// needs has what a package.json depends on packed, where that is side by side.
func (p *npmPlan) needs(e TreeEntry) error {
	if path.Base(p.root) == "node_modules" || e.Size > maxSmall {
		return nil
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, maxSmall))
	if err != nil {
		return fmt.Errorf("reading %s: %w", e.Path, err)
	}
	var of struct{ Dependencies map[string]string }
	_ = json.Unmarshal(content, &of) // one that is none needs nothing
	for name := range of.Dependencies {
		if path.Clean("/"+name) == "/"+name {
			p.want(name)
		}
	}
	return nil
}
