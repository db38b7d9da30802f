package environment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// treeEntry is the entry of the cache that PackTree's images belong to.
const treeEntry = "image"

// treeRules is the version of what PackTree adds and changes. It is part of
// every digest.
const treeRules = "tako image 3"

// maxConfig bounds what an image says about how it is run, in bytes of JSON.
const maxConfig = 64 << 10

// Tree is a whole root file system from elsewhere, a container image's say.
// Whoever fills it has taken out what must not be inside.
type Tree struct {
	Name    string
	Entries []TreeEntry // in any order; each path once; missing parents are added
	Config  ImageConfig // UID, GID and Dir are filled in by PackTree
}

// TreeEntry is one path of a Tree.
type TreeEntry struct {
	Path     string      // absolute and clean, UTF-8
	Type     fs.FileMode // fs.ModeDir, fs.ModeSymlink or 0
	Mode     fs.FileMode // permission bits
	UID, GID uint32
	Mtime    int64  // seconds since 1970
	Target   string // of a symbolic link
	Size     int64
	// Open answers the content of a file: Size bytes. It is called up to three
	// times.
	Open func() (io.ReadCloser, error)
}

// PackTree makes the image of a tree in the cache directory dir, with what a
// sandbox needs beside: mount points, an entry for the user in /etc/passwd and
// /etc/group, /etc/hosts and /etc/resolv.conf. Equal trees give equal images. A
// tree is never executed: its languages are found by looking. Errors are those
// of Host.Ensure; a configuration that cannot be kept is job.KindInvalid.
func PackTree(ctx context.Context, dir string, t Tree, progress func(Progress)) (Environment, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	c, err := openCache(dir, treeEntry)
	if err != nil {
		return Environment{}, err
	}
	p := &treePlan{tree: t, entries: make(map[string]*entry, len(t.Entries)+32), note: func(s string) {
		progress(Progress{Phase: PhaseScan, Note: s})
	}}
	env, m, err := p.plan(ctx, progress)
	if err != nil {
		return Environment{}, err
	}
	env.Image = c.image(env.Digest)
	c.describes = &env
	release, err := c.lock(ctx)
	if err != nil {
		return Environment{}, err
	}
	defer release()
	c.sweep()
	if env.Size, err = c.make(ctx, env.Image, m, nil, progress); err != nil {
		return Environment{}, err
	}
	return env, nil
}

// FindTree returns the environment of an image that PackTree made earlier, if it
// is in the cache directory dir and sound.
func FindTree(dir, digest string) (Environment, bool) {
	return (&Host{Cache: dir}).Find(digest)
}

// PruneTrees removes PackTree's images from the cache directory dir, but those
// whose digests are in keep, those that somebody holds and pinned ones. It returns how many
// bytes that freed.
func PruneTrees(ctx context.Context, dir string, keep map[string]bool) (freed int64, err error) {
	c, err := openCache(dir, treeEntry)
	if err != nil {
		return 0, err
	}
	release, err := c.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	c.sweep()
	sidecars, _ := filepath.Glob(filepath.Join(c.dir, "*.json"))
	for _, name := range sidecars {
		image := strings.TrimSuffix(name, ".json") + ".erofs"
		s, err := readSidecar(image)
		if err != nil || s.Entry != treeEntry || pinned(image) || keep[strings.TrimSuffix(filepath.Base(name), ".json")] {
			continue
		}
		if removeUnheld(image) {
			freed += s.Size
		}
	}
	return freed, nil
}

// treePlan turns a tree into a manifest.
type treePlan struct {
	tree    Tree
	entries map[string]*entry
	note    func(string)
}

func (p *treePlan) plan(ctx context.Context, progress func(Progress)) (env Environment, m *manifest, err error) {
	if err := p.fill(); err != nil {
		return env, nil, err
	}
	addParents(p.entries) // links are resolved from now on
	config := p.tree.Config
	p.identify(&config)
	p.furnish(config)
	if at := resolveIn(p.entries, config.WorkingDir); config.WorkingDir != "" && at != nil && at.kind == directory && !mounted(at.path) {
		config.Dir = at.path
	}
	env = Environment{Name: p.tree.Name, Config: &config}
	env.Version, env.Languages = p.languages(&config)
	m = &manifest{entries: make([]*entry, 0, len(p.entries))}
	for _, e := range p.entries {
		m.entries = append(m.entries, e)
	}
	slices.SortFunc(m.entries, func(a, b *entry) int { return cmp.Compare(a.path, b.path) })
	if err := m.hash(metering(ctx, nil, PhaseScan, m.bytes(), progress)); err != nil {
		return env, nil, err
	}
	described, err := json.Marshal(struct {
		Config    ImageConfig
		Version   string
		Languages map[string]Language
	}{config, env.Version, env.Languages})
	if err != nil {
		return env, nil, fmt.Errorf("the image's configuration: %w", err)
	}
	if len(described) > maxConfig {
		return env, nil, job.Errorf(job.KindInvalid, "the configuration of %s has %d bytes: it may have %d", p.tree.Name, len(described), maxConfig)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", treeRules, m.digest(), described)
	env.Digest = hex.EncodeToString(h.Sum(nil))
	return env, m, nil
}

// fill takes the tree's entries, but what a sandbox would not see.
func (p *treePlan) fill() error {
	hidden := map[string]bool{}
	for i := range p.tree.Entries {
		t := &p.tree.Entries[i]
		if t.Path == "/" {
			continue
		}
		if !path.IsAbs(t.Path) || path.Clean(t.Path) != t.Path || p.entries[t.Path] != nil {
			return job.Errorf(job.KindInternal, "the tree of %s has the path %q", p.tree.Name, t.Path)
		}
		if mounted(path.Dir(t.Path)) {
			hidden["/"+strings.SplitN(t.Path, "/", 3)[1]] = true
			continue
		}
		e := &entry{path: t.Path, kind: file, mode: uint32(t.Mode.Perm()), uid: t.UID, gid: t.GID, mtime: max(t.Mtime, 0)}
		switch t.Type {
		case fs.ModeDir:
			e.kind = directory
		case fs.ModeSymlink:
			e.kind, e.target, e.mode = link, t.Target, 0o777
		default:
			e.size, e.open = t.Size, t.Open
		}
		p.entries[t.Path] = e
	}
	for _, dir := range mountPoints {
		if hidden[dir] && dir != "/dev" && dir != "/tmp" && dir != "/proc" && dir != "/sys" {
			p.note(fmt.Sprintf("what the image has in %s is left out: a sandbox has a directory of its own there", dir))
		}
	}
	return nil
}

// mounted reports a directory that sandboxes have something of their own in.
func mounted(dir string) bool {
	for _, m := range mountPoints {
		if m != "/run" && m != "/home" && m != "/home/sandbox" && within(dir, m) {
			return true
		}
	}
	return false
}

// furnish adds what every sandbox needs. An image's own file or link that is in
// the way of a directory gives way to it, with what is said to be below.
func (p *treePlan) furnish(config ImageConfig) {
	for _, dir := range mountPoints {
		p.directory(dir)
	}
	if p.entries[nodeLink] == nil {
		p.entries[nodeLink] = linkToNodeModules()
	}
	p.directory("/etc")
	p.account("/etc/passwd", config.UID, passwd, func(name string) string {
		return fmt.Sprintf("%s:x:%d:%d:%s:/home/sandbox:/bin/sh\n", name, config.UID, config.GID, name)
	})
	p.account("/etc/group", config.GID, group, func(name string) string {
		return fmt.Sprintf("%s:x:%d:\n", name, config.GID)
	})
	p.write("/etc/hosts", []byte(hosts))
	p.write("/etc/resolv.conf", []byte(resolver))
}

// directory makes name one, and its parents.
func (p *treePlan) directory(name string) {
	if parent := path.Dir(name); parent != "/" {
		p.directory(parent)
	}
	if e := p.entries[name]; e == nil || e.kind != directory {
		p.remove(name)
		p.entries[name] = &entry{path: name, kind: directory, mode: 0o755}
		return
	}
	p.entries[name].mode |= 0o555 // everybody has to get through
}

// write puts a file of our own in the place of whatever is there.
func (p *treePlan) write(name string, content []byte) {
	p.remove(name)
	p.entries[name] = &entry{path: name, kind: file, mode: 0o644, size: int64(len(content)), data: content}
}

func (p *treePlan) remove(name string) {
	if e := p.entries[name]; e != nil && e.kind == directory {
		for below := range p.entries {
			if within(below, name) {
				delete(p.entries, below)
			}
		}
	}
	delete(p.entries, name)
}

// account appends a line to a table of accounts, unless one has the id.
// standard is the whole table where the image has none.
func (p *treePlan) account(name string, id int, standard string, line func(name string) string) {
	content := string(p.small(name))
	if content == "" {
		content = strings.ReplaceAll(standard, strconv.Itoa(sandboxID), strconv.Itoa(id))
	}
	if !strings.HasSuffix(content, "\n") {
		content += "\n"
	}
	const column = 2 // of the id, in either table
	free := "sandbox"
	for row := range strings.Lines(content) {
		fields := strings.Split(strings.TrimSpace(row), ":")
		if len(fields) > column && fields[column] == strconv.Itoa(id) {
			p.write(name, []byte(content))
			return
		}
		if fields[0] == free {
			free = fmt.Sprintf("sandbox%d", id)
		}
	}
	p.write(name, []byte(content+line(free)))
}

// small reads a file of the tree, at most maxSmall bytes; nil if there is none.
func (p *treePlan) small(name string) []byte {
	e := resolveIn(p.entries, name)
	if e == nil || e.kind != file || e.size > maxSmall {
		return nil
	}
	return readHead(e, maxSmall)
}

// readHead reads the first n bytes of an entry's content; nil if they cannot be
// read, which the packing will find out, too.
func readHead(e *entry, n int64) []byte {
	r, err := openEntry(nil, e)
	if err != nil {
		return nil
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil {
		return nil
	}
	return content
}
