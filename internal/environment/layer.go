package environment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// PackagesDir is where a layer of packages is inside a sandbox.
const PackagesDir = "/packages"

// nodeLink is a link of every image to the npm packages of a layer: the import of
// ECMAScript modules looks for node_modules upwards from the program, and knows
// no NODE_PATH.
const nodeLink = "/node_modules"

func linkToNodeModules() *entry {
	return &entry{path: nodeLink, kind: link, mode: 0o777, target: PackagesDir[1:] + "/node_modules"}
}

// layerEntry is the entry of the cache that layers belong to, and layerRules the
// version of what PackLayer makes of a tree.
const (
	layerEntry = "layer"
	layerRules = "tako layer 1"
)

// Layer is a read-only file system beside an environment's own, which any number
// of environments may have.
type Layer struct {
	Digest string `json:"digest"` // of its files, as Environment's is
	Image  string `json:"-"`
	Size   int64  `json:"size"`
}

// PackLayer makes a layer of a tree, whose root is PackagesDir, in the cache
// directory dir. All of it belongs to root and can be read by everybody. Equal
// trees are equal layers. Errors are those of Host.Ensure.
func PackLayer(ctx context.Context, dir string, tree []TreeEntry, progress func(Progress)) (Layer, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	c, err := openCache(dir, layerEntry)
	if err != nil {
		return Layer{}, err
	}
	m, err := layerManifest(tree)
	if err != nil {
		return Layer{}, err
	}
	if err := m.hash(metering(ctx, nil, PhaseScan, m.bytes(), progress)); err != nil {
		return Layer{}, err
	}
	sum := sha256.Sum256([]byte(layerRules + "\n" + m.digest()))
	l := Layer{Digest: hex.EncodeToString(sum[:])}
	l.Image = c.image(l.Digest)
	release, err := c.lock(ctx)
	if err != nil {
		return Layer{}, err
	}
	defer release()
	c.sweep()
	l.Size, err = c.make(ctx, l.Image, m, nil, progress)
	return l, err
}

func layerManifest(tree []TreeEntry) (*manifest, error) {
	entries := map[string]*entry{}
	for i := range tree {
		t := &tree[i]
		if !path.IsAbs(t.Path) || path.Clean(t.Path) != t.Path || entries[t.Path] != nil {
			return nil, job.Errorf(job.KindInternal, "a layer has the path %q", t.Path)
		}
		e := &entry{path: t.Path, kind: file, mode: 0o644 | uint32(t.Mode.Perm())&0o111}
		switch t.Type {
		case fs.ModeDir:
			e.kind, e.mode = directory, 0o755
		case fs.ModeSymlink:
			e.kind, e.target, e.mode = link, t.Target, 0o777
		default:
			e.size, e.open = t.Size, t.Open
		}
		entries[t.Path] = e
	}
	addParents(entries)
	m := &manifest{entries: slices.Collect(maps.Values(entries))}
	slices.SortFunc(m.entries, func(a, b *entry) int { return cmp.Compare(a.path, b.path) })
	return m, nil
}

// FindLayer returns a layer of earlier, if it is in the cache directory dir and
// sound.
func FindLayer(dir, digest string) (Layer, bool) {
	c, err := openCache(dir, layerEntry)
	if err != nil || !isDigest(digest) {
		return Layer{}, false
	}
	s, err := checkEnds(c.image(digest))
	if err != nil || s.Entry != layerEntry {
		return Layer{}, false
	}
	return Layer{Digest: digest, Image: c.image(digest), Size: s.Size}, true
}

// With is the environment with a layer of packages, which its languages find.
func (e Environment) With(l Layer) Environment {
	sum := sha256.Sum256(fmt.Appendf(nil, "tako packages 1\n%s\n%s\n", e.Digest, l.Digest))
	e.Digest, e.Packages = hex.EncodeToString(sum[:]), &l
	languages := map[string]Language{}
	for name, lang := range e.Languages {
		lang.Env = slices.Clone(lang.Env)
		for i, v := range lang.Env {
			if dirs, ok := strings.CutPrefix(v, "PATH="); ok {
				lang.Env[i] = "PATH=" + PackagesDir + "/bin:" + dirs
			}
		}
		switch name {
		case "python":
			lang.Env = append(lang.Env, e.before("PYTHONPATH", PackagesDir))
		case "node":
			lang.Env = append(lang.Env, e.before("NODE_PATH", PackagesDir+"/node_modules"))
		}
		languages[name] = lang
	}
	e.Languages = languages
	return e
}

// before is a search path with a directory put before those that the image has
// in it.
func (e Environment) before(variable, dir string) string {
	if dirs := e.Config.Variable(variable); dirs != "" {
		dir += ":" + dirs
	}
	return variable + "=" + dir
}
