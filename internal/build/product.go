package build

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
)

// product is what installers left. Its files are there until Close.
type product struct {
	entries   []environment.TreeEntry
	installed []string // "name==version", or "npm:name@version"
	lock      Lock
	trees     []*oci.Unpacked
}

// Close lets go of the files.
func (p *product) Close() error {
	var err error
	for _, t := range p.trees {
		err = errors.Join(err, t.Close())
	}
	return err
}

// install installs packages of both kinds, one after the other.
func (b *Builder) install(ctx context.Context, base environment.Environment, requirements []string, log io.Writer) (_ *product, err error) {
	python, npm := split(requirements)
	all := &product{}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.Close())
		}
	}()
	if len(python) > 0 {
		got, err := b.python(ctx, base, python, log)
		if err != nil {
			return nil, err
		}
		all = got
	}
	if len(npm) > 0 {
		got, err := b.npm(ctx, base, npm, log)
		if err != nil {
			return nil, err
		}
		all.trees = append(all.trees, got.trees...)
		all.installed = append(all.installed, got.installed...)
		all.lock.NPM = got.lock.NPM
		if err := all.beside(got.entries); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// beside puts what npm left beside Python's packages, and a link to each of its
// programs where those of Python's are.
func (p *product) beside(npm []environment.TreeEntry) error {
	mine := map[string]fs.FileMode{}
	for _, e := range p.entries {
		mine[e.Path] = e.Type
	}
	if _, ok := mine[nodeModules]; ok {
		return job.Errorf(job.KindDependency, "a Python package has files in node_modules, which is where npm's are").WithHint("ask for the one or the other")
	}
	p.entries = slices.Concat(p.entries, npm)
	if kind, ok := mine["/bin"]; ok && kind != fs.ModeDir {
		return nil
	}
	for _, e := range npm {
		dir, base := path.Split(e.Path)
		to := "/bin/" + base
		if _, taken := mine[to]; dir == nodeModules+"/.bin/" && !taken {
			p.entries = append(p.entries, environment.TreeEntry{Path: to, Type: fs.ModeSymlink, Target: ".." + strings.TrimSuffix(dir, "/") + "/" + base})
		}
	}
	return nil
}
