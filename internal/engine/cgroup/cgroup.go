// Package cgroup makes, reads and removes the control groups that bound
// sandboxes on the host, for cgroup v1 (one hierarchy a controller) and v2
// (one hierarchy). It knows files below a root directory, so that its tests
// run over a fake tree; formats are those of the kernel's
// Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Controller names, as the kernel spells them.
const (
	Memory  = "memory"
	CPU     = "cpu"
	PIDs    = "pids"
	CPUAcct = "cpuacct" // v1 only; part of cpu in v2
)

// period is the window over which processor time is bounded, in microseconds.
// The kernel's default.
const period = 100_000

// Limits are what a group bounds.
type Limits struct {
	Memory int64   // bytes, swap included
	CPUs   float64 // processor seconds per second
	Tasks  int     // host processes and threads
}

// Stats are a group's counters since it was made.
type Stats struct {
	Memory     int64 // now
	MemoryPeak int64
	CPUTime    time.Duration
	OOMKills   int64
}

// Tree is the place where this process may make groups.
type Tree struct {
	// Version is 1 or 2.
	Version int
	// mount maps a controller to the directory of its hierarchy; in v2 all
	// map to the same.
	mount map[string]string
	// base is the path below mount where our groups go.
	base string
	fs   files
}

// files are the two calls that behave on a cgroup file system as on no other:
// a new directory has files in it, and one with files can be removed.
type files struct {
	mkdirAll func(dir string) error
	rmdir    func(dir string) error
}

func kernelFiles() files {
	return files{
		mkdirAll: mkdirAll,
		rmdir:    func(dir string) error { return syscall.Rmdir(dir) },
	}
}

// mkdirAll makes dir, again if its parent goes away meanwhile: another tako may
// be removing the last group of its own. A directory that is there and another
// user's is an error.
func mkdirAll(dir string) error {
	const attempts = 100
	var err error
	for range attempts {
		if err = mkdirOpen(dir); !missing(err) {
			break
		}
	}
	if err != nil {
		return err
	}
	return unix.Access(dir, unix.W_OK)
}

// mkdirOpen makes dir and what is missing above it, with mode 0755 whatever
// the umask: a sandbox that is nobody walks through it to join.
func mkdirOpen(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if missing(err) {
		if err := mkdirOpen(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// Detect finds the cgroup hierarchies below sys ("/sys/fs/cgroup" on a real
// host), where self is the content of /proc/self/cgroup. It returns nil when
// there is none that this process may write.
func Detect(sys, self string) *Tree {
	return detect(sys, self, kernelFiles())
}

func detect(sys, self string, fs files) *Tree {
	if _, err := os.Stat(filepath.Join(sys, "cgroup.controllers")); err == nil {
		return detectV2(sys, self, fs)
	}
	return detectV1(sys, fs)
}

func detectV1(sys string, fs files) *Tree {
	t := &Tree{Version: 1, mount: map[string]string{}, base: "tako", fs: fs}
	for _, c := range []string{Memory, CPU, PIDs, CPUAcct} {
		dir := filepath.Join(sys, c)
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil {
			continue
		}
		if fs.mkdirAll(filepath.Join(dir, t.base)) == nil {
			t.mount[c] = dir
		}
	}
	if len(t.mount) == 0 {
		return nil
	}
	return t
}

// detectV2 uses /tako where the root of the hierarchy may be written, and the
// process's own group where that was delegated to it.
func detectV2(sys, self string, fs files) *Tree {
	bases := []string{"tako"}
	if own, ok := ownGroup(self); ok {
		bases = append(bases, filepath.Join(own, "tako"))
	}
	for _, base := range bases {
		t := &Tree{Version: 2, mount: map[string]string{}, base: base, fs: fs}
		if fs.mkdirAll(filepath.Join(sys, base)) != nil {
			continue
		}
		for _, c := range enable(sys, base) {
			t.mount[c] = sys
		}
		if len(t.mount) > 0 {
			return t
		}
	}
	return nil
}

// ownGroup reads the v2 line ("0::/path") of /proc/self/cgroup.
func ownGroup(self string) (string, bool) {
	for line := range strings.Lines(self) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok {
			return path, true
		}
	}
	return "", false
}

// enable turns our controllers on for the children of every directory on the
// way down to base, and returns those that are on for base's own children. A
// directory that holds processes of its own refuses, unless it is the root.
func enable(sys, base string) []string {
	var on []string
	dir := sys
	for _, part := range append(strings.Split(base, "/"), "") {
		on = nil
		available, _ := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		for _, c := range []string{Memory, CPU, PIDs} {
			if slices.Contains(strings.Fields(string(available)), c) &&
				write(filepath.Join(dir, "cgroup.subtree_control"), "+"+c) == nil {
				on = append(on, c)
			}
		}
		dir = filepath.Join(dir, part)
	}
	return on
}

// Has reports whether controller c can be used.
func (t *Tree) Has(c string) bool {
	return t != nil && t.mount[c] != ""
}

// Group is one control group.
type Group struct {
	tree *Tree
	name string // below the tree's base, without a leading slash
}

// Create makes the group name ("run/sandbox") and bounds it. On error nothing
// is left.
func (t *Tree) Create(name string, l Limits) (*Group, error) {
	g := &Group{tree: t, name: name}
	if err := g.create(l); err != nil {
		return nil, errors.Join(fmt.Errorf("making cgroup %s: %w", name, err), g.Remove())
	}
	return g, nil
}

// Open returns the group name, which may not exist.
func (t *Tree) Open(name string) *Group {
	return &Group{tree: t, name: name}
}

func (g *Group) create(l Limits) error {
	for _, dir := range g.dirs() {
		if err := g.tree.fs.mkdirAll(dir); err != nil {
			return err
		}
	}
	if g.tree.Version == 2 {
		parent := filepath.Dir(filepath.Join(g.tree.base, g.name))
		if sys := g.anyMount(); sys != "" {
			enable(sys, parent)
		}
		g.tree.yield()
		return g.setV2(l)
	}
	g.tree.yield()
	return g.setV1(l)
}

// yield gives all sandboxes together a quarter of the weight of an ordinary
// process: however many of them compute, whoever serves tako's callers gets its
// turn. Where that cannot be set, the limits of each still hold.
func (t *Tree) yield() {
	file, weight := "cpu.shares", "256" // of 1024
	if t.Version == 2 {
		file, weight = "cpu.weight", "25" // of 100
	}
	base := t.Open("")
	if base.read(CPU, file) != weight {
		_ = base.set(CPU, file, weight)
	}
}

// Path is the group's path from the root of the hierarchy.
func (g *Group) Path() string {
	return "/" + filepath.Join(g.tree.base, g.name)
}

// ProcsFiles are the files to which a process writes 0 to join the group.
func (g *Group) ProcsFiles() []string {
	var files []string
	for _, dir := range g.dirs() {
		files = append(files, filepath.Join(dir, "cgroup.procs"))
	}
	return files
}

// dirs are the group's directories, one a hierarchy, without repetition.
func (g *Group) dirs() []string {
	var dirs []string
	for _, c := range []string{Memory, CPU, PIDs, CPUAcct} {
		if g.tree.mount[c] != "" {
			dirs = append(dirs, g.dir(c))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func (g *Group) dir(controller string) string {
	return filepath.Join(g.tree.mount[controller], g.tree.base, g.name)
}

func (g *Group) anyMount() string {
	for _, m := range g.tree.mount {
		return m
	}
	return ""
}

// set writes value to a file of the controller, if the tree has it.
func (g *Group) set(controller, file, value string) error {
	if !g.tree.Has(controller) {
		return nil
	}
	return write(filepath.Join(g.dir(controller), file), value)
}

func (g *Group) read(controller, file string) string {
	if !g.tree.Has(controller) {
		return ""
	}
	data, err := os.ReadFile(filepath.Join(g.dir(controller), file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// write replaces the content of a control file, which must exist: creating it
// would mean that the controller is not there.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// missing reports an error that means "not there".
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist)
}

// Close removes the tree's own directories if no group is left in them, of
// this process or of another.
func (t *Tree) Close() error {
	base := t.Open("")
	for _, dir := range base.dirs() {
		err := t.fs.rmdir(dir)
		// EBUSY and ENOTEMPTY: somebody else has a group there.
		if err != nil && !missing(err) && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) {
			return fmt.Errorf("removing cgroup %s: %w", dir, err)
		}
	}
	return nil
}
