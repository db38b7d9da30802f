package build

import (
	"context"
	_ "embed"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/pkgindex"
)

//go:embed install.py
var installPython string

// python installs Python packages.
func (b *Builder) python(ctx context.Context, base environment.Environment, requirements []string, log io.Writer) (*product, error) {
	mode := "wheels"
	if b.o.Index.Sources {
		mode = "sources"
	}
	tree, g, err := b.run(ctx, tool{
		env: base, language: "python", code: installPython, args: []string{pkgindex.URL, mode},
		file: "requirements.txt", list: strings.Join(requirements, "\n") + "\n",
		missing: job.Errorf(job.KindDependency, "this environment has neither uv nor pip to install packages with").
			WithHint("install python3-pip on this machine, or use an image that has pip"),
	}, log)
	if err != nil {
		return nil, err
	}
	p := &product{entries: tree.Entries, installed: installed(tree.Entries), trees: []*oci.Unpacked{tree}}
	p.lock.Python = lockPython(p.installed, g.index.Sums())
	return p, nil
}

// maxInstalled bounds what a record and a log say that a layer has.
const maxInstalled = 1000

// installed lists what a tree has, as "name==version", by name.
func installed(tree []environment.TreeEntry) (list []string) {
	for _, e := range tree {
		name, ok := strings.CutSuffix(path.Base(e.Path), ".dist-info")
		if !ok || path.Dir(e.Path) != "/" {
			continue
		}
		if len(list) == maxInstalled || len(name) > 200 {
			continue
		}
		if name, version, ok := strings.Cut(name, "-"); ok {
			list = append(list, pinned(name, version))
		}
	}
	slices.Sort(list)
	return list
}
