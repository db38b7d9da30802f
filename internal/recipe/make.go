package recipe

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/runner"
)

// Maker makes images of recipes.
type Maker struct {
	Store *oci.Store
	// Base is the environment of an image, pulled if it is not here.
	Base func(ctx context.Context, reference string) (environment.Environment, error)
	// Machine is this machine's environment.
	Machine func(ctx context.Context) (environment.Environment, error)
	// Install is an environment with packages beside it, and what they are.
	Install func(ctx context.Context, base environment.Environment, requirements []string) (env environment.Environment, installed []string, err error)
	// Progress is told what happens; nil for nobody.
	Progress func(environment.Progress)
}

// Make makes the image of a recipe and records it under the recipe's name, where
// what the name meant before stays until the new image is whole. What is wrong
// with a source is said before anything is pulled or installed.
//
// Errors: job.KindInvalid for what is wrong with the recipe or its sources; those
// of Base, Machine and Install, and of oci.Store.Compose.
func (m *Maker) Make(ctx context.Context, r *Recipe) (*oci.Image, error) {
	if r.Name == "" {
		return nil, job.Errorf(job.KindInvalid, "%s does not say what the image is called", r.Shown).WithHint("add a name to it, or give one with -t")
	}
	if oci.SameReference(r.Name, r.Base) {
		return nil, job.Errorf(job.KindInvalid, "%s: the image cannot be its own base, %s", r.Shown, r.Base).WithHint("give it another name or tag")
	}
	s, err := gather(ctx, r, m.Store.Limits())
	if err != nil {
		return nil, err
	}
	defer s.close()
	m.warn(r)
	base, err := m.base(ctx, r)
	if err != nil {
		return nil, err
	}
	release, err := base.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	contents, err := environment.OpenContents(base.Image)
	if err != nil {
		return nil, err
	}
	defer contents.Close()
	files, err := place(r, contents, s)
	if err != nil {
		return nil, err
	}
	p, err := m.packages(ctx, r, base, contents)
	if err != nil {
		return nil, err
	}
	defer p.close()
	c := oci.Composition{Reference: r.Name, Base: r.Base, WorkingDir: r.WorkingDir, User: r.User, Env: variables(r, base, p)}
	c.Built = oci.Built{Recipe: r.Path, Requirements: r.Requirements, Installed: p.installed}
	if r.Base == "" {
		whole, err := contents.Entries()
		if err != nil {
			return nil, err
		}
		c.Layers = append(c.Layers, whole)
	}
	for _, layer := range [][]environment.TreeEntry{p.layer, files} {
		if len(layer) > 0 {
			c.Layers = append(c.Layers, layer)
		}
	}
	return m.Store.Compose(ctx, c, oci.Options{Progress: m.Progress})
}

// warn tells of what has no effect.
func (m *Maker) warn(r *Recipe) {
	for _, v := range r.Env {
		name, value, _ := strings.Cut(v, "=")
		if runner.Overrides(name, value) && m.Progress != nil {
			m.Progress(environment.Progress{Note: "the variable " + name + " of " + r.Shown + " has no effect: sandboxes set it themselves"})
		}
	}
}

func (m *Maker) base(ctx context.Context, r *Recipe) (environment.Environment, error) {
	if r.Base != "" {
		env, err := m.Base(ctx, r.Base)
		if err != nil {
			err = job.Errorf(job.KindOf(err), "%s: the base: %w", r.Shown, err)
		}
		return env, err
	}
	env, err := m.Machine(ctx)
	if err != nil && ctx.Err() == nil {
		err = job.Errorf(job.KindOf(err), "%s names no base, and is to be made of this machine's Python: %w", r.Shown, err)
	}
	return env, err
}

// packages is the layer of a recipe's packages, whose files can be read until it
// is closed.
type packages struct {
	dir       string // in the image
	layer     []environment.TreeEntry
	installed []string
	contents  *environment.Contents
	release   func()
}

func (p *packages) close() {
	if p.contents != nil {
		p.contents.Close()
		p.release()
	}
}

func (m *Maker) packages(ctx context.Context, r *Recipe, base environment.Environment, image *environment.Contents) (*packages, error) {
	p := &packages{dir: PackagesDir}
	if len(r.Requirements) == 0 {
		return p, nil
	}
	env, installed, err := m.Install(ctx, base, r.Requirements)
	if err != nil {
		return nil, err
	}
	if p.release, err = env.Hold(); err != nil {
		return nil, err
	}
	if p.contents, err = environment.OpenContents(env.Packages.Image); err != nil {
		p.release()
		return nil, err
	}
	if p.layer, err = p.contents.Entries(); err != nil {
		p.close()
		return nil, err
	}
	p.installed = installed
	// Those of a base that has some stay apart, and are found after these.
	for n := 2; ; n++ {
		if _, _, there := image.Resolve(p.dir); !there {
			break
		}
		p.dir = fmt.Sprintf("%s-%d", PackagesDir, n)
	}
	for i := range p.layer {
		p.layer[i].Path = p.dir + p.layer[i].Path
	}
	return p, nil
}

// variables are the image's: those of the recipe, and the search paths that lead
// to its packages.
func variables(r *Recipe, base environment.Environment, p *packages) []string {
	own := environment.ImageConfig{Env: r.Env}
	env := slices.Clone(r.Env)
	before := func(name, dir, otherwise string) {
		after := cmp.Or(own.Variable(name), base.Config.Variable(name), otherwise)
		env = append(env, name+"="+strings.TrimSuffix(dir+":"+after, ":"))
	}
	if len(p.layer) == 0 {
		return env
	}
	before("PATH", p.dir+"/bin", "/usr/local/bin:/usr/bin:/bin")
	before("PYTHONPATH", p.dir, "")
	for _, e := range p.layer {
		if e.Path == path.Join(p.dir, "node_modules") {
			before("NODE_PATH", e.Path, "")
		}
	}
	return env
}
