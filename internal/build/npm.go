package build

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/pkgindex"
)

//go:embed install.js
var installNode string

// nodeModules is where npm's packages are in a layer.
const nodeModules = "/node_modules"

// maxLock bounds npm's own lock file, in bytes.
const maxLock = 32 << 20

// npm installs npm packages, written as npm does: name@version. The installer is
// the image's, or this machine's for this machine's environment.
func (b *Builder) npm(ctx context.Context, base environment.Environment, packages []string, log io.Writer) (_ *product, err error) {
	env, program := base, ""
	if b.o.NPM != nil {
		if env, program, err = b.o.NPM(ctx, base); err != nil {
			return nil, err
		}
	}
	release, err := env.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	manifest, err := packageJSON(packages)
	if err != nil {
		return nil, err
	}
	tree, g, err := b.run(ctx, tool{
		env: env, language: "node", code: installNode, args: []string{pkgindex.NPMURL, program},
		file: "package.json", list: manifest,
		missing: job.Errorf(job.KindDependency, "this environment has Node but no npm").
			WithHint("install npm on this machine, or use an image that has it"),
	}, log)
	if err != nil {
		return nil, err
	}
	p := &product{trees: []*oci.Unpacked{tree}}
	if err := p.takeNPM(tree, g.index); err != nil {
		return nil, job.Errorf(job.KindDependency, "what npm left cannot be kept: %w, %w", err, p.Close())
	}
	return p, nil
}

// packageJSON is a package that needs what is asked for. What is asked for twice
// has to be both.
func packageJSON(packages []string) (string, error) {
	needs := map[string]string{}
	for _, p := range packages {
		name, version := cutNPM(p)
		switch had := needs[name]; {
		case had == "" || had == "*":
			needs[name] = version
		case version != "*":
			needs[name] = had + " " + version
		}
	}
	text, err := encode(map[string]any{"name": "@tako/requirements", "version": "0.0.0", "private": true, "dependencies": needs})
	if err != nil {
		return "", fmt.Errorf("writing package.json: %w", err)
	}
	return string(text), nil
}

// takeNPM takes what npm left: node_modules, and the lock file.
func (p *product) takeNPM(tree *oci.Unpacked, index *pkgindex.Gateway) error {
	there := map[string]bool{}
	var lock *environment.TreeEntry
	for i, e := range tree.Entries {
		switch {
		case e.Path == "/package-lock.json":
			lock = &tree.Entries[i]
		case e.Path != nodeModules+"/.package-lock.json" && (e.Path == nodeModules || strings.HasPrefix(e.Path, nodeModules+"/")):
			p.entries = append(p.entries, e)
			there[e.Path] = true
		}
	}
	if lock == nil || lock.Open == nil || lock.Size > maxLock {
		return fmt.Errorf("it wrote no lock file")
	}
	r, err := lock.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return p.lockNPM(text, there, index)
}

// lockNPM keeps npm's lock file, with the registry's addresses in the place of
// ours. What it names is installed, but what is for other machines.
func (p *product) lockNPM(text []byte, there map[string]bool, index *pkgindex.Gateway) error {
	var lock map[string]json.RawMessage
	if err := json.Unmarshal(text, &lock); err != nil {
		return fmt.Errorf("its lock file: %w", err)
	}
	var packages map[string]map[string]any
	if err := json.Unmarshal(lock["packages"], &packages); err != nil {
		return fmt.Errorf("its lock file: %w", err)
	}
	for _, at := range slices.Sorted(maps.Keys(packages)) {
		entry := packages[at]
		if link, ok := entry["resolved"].(string); ok {
			delete(entry, "resolved")
			if origin := index.Origin(link); origin != "" {
				entry["resolved"] = origin
			}
		}
		version, _ := entry["version"].(string)
		_, name, _ := strings.Cut(at[max(0, strings.LastIndex(at, "node_modules/")):], "/")
		if at != "" && there[path.Join("/", at)] && len(name)+len(version) < 300 && len(p.installed) < maxInstalled {
			p.installed = append(p.installed, npmPrefix+name+"@"+version)
		}
	}
	slices.Sort(p.installed)
	p.installed = slices.Compact(p.installed)
	all, err := encode(packages)
	if err == nil {
		lock["packages"] = all
		p.lock.NPM, err = encode(lock)
	}
	return err
}

// encode is json.Marshal, but that < and > stay what they are: versions have them.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}
