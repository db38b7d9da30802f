package environment

import (
	"debug/elf"
	"path"
	"runtime"
	"slices"
	"strings"
)

// loaded are libraries that programs open by name at run time, or that wheels
// from PyPI expect of every system (PEP 600), and so may be in no DT_NEEDED.
var loaded = []string{
	"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1", "libstdc++.so.6", "libm.so.6",
	"libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libz.so.1",
}

func multiarch() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// standardLibraries are where the loader looks when nothing else is said, in
// its order.
func standardLibraries() []string {
	m := multiarch()
	return []string{"/lib/" + m, "/usr/lib/" + m, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
}

// libraryDirs are the directories of /etc/ld.so.conf that lie in trees,
// then the standard ones: the order of ldconfig.
func (p *plan) libraryDirs() ([]string, error) {
	dirs, err := p.loaderConf("/etc/ld.so.conf", 0)
	if err != nil {
		return nil, err
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool {
		return !slices.ContainsFunc(trees, func(tree string) bool { return within(dir, tree) })
	})
	return append(dirs, standardLibraries()...), nil
}

// loaderConf reads one file in the format of ld.so.conf(5): a directory per
// line, # comments, "include" with a pattern.
func (p *plan) loaderConf(name string, depth int) (dirs []string, err error) {
	real, at, _, err := p.host.resolve(name)
	if err != nil || !at.file() || !p.host.readable(real, at) || depth > 4 {
		return nil, err
	}
	content, err := p.read(real)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 2 && words[0] == "include" {
			included, err := p.loaderInclude(words[1], depth+1)
			if err != nil {
				return nil, err
			}
			dirs = append(dirs, included...)
		} else if len(words) == 1 && path.IsAbs(words[0]) {
			dirs = append(dirs, path.Clean(words[0]))
		}
	}
	return dirs, nil
}

func (p *plan) loaderInclude(pattern string, depth int) (dirs []string, err error) {
	if !path.IsAbs(pattern) {
		pattern = path.Join("/etc", pattern)
	}
	dir, at, _, err := p.host.resolve(path.Dir(pattern))
	if err != nil || !at.dir() || !p.host.readable(dir, at) || !within(dir, "/etc") {
		return nil, err
	}
	names, err := p.host.readdir(dir)
	if err != nil {
		return nil, err
	}
	for _, base := range names {
		if ok, _ := path.Match(path.Base(pattern), base); ok {
			more, err := p.loaderConf(path.Join(dir, base), depth)
			if err != nil {
				return nil, err
			}
			dirs = append(dirs, more...)
		}
	}
	return dirs, nil
}

// object is what an ELF file says about what it needs.
type object struct {
	machine elf.Machine
	class   elf.Class
	loader  string   // PT_INTERP of a program
	needed  []string // DT_NEEDED
	search  []string // DT_RUNPATH, or DT_RPATH, $ORIGIN replaced
}

// inspect reads the dynamic section of the file at name, whose path has no
// links. A file that is not ELF, or that debug/elf cannot read, is nil.
func (p *plan) inspect(name string) (*object, error) {
	f, err := p.host.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var magic [4]byte
	if n, _ := f.ReadAt(magic[:], 0); n < 4 || string(magic[:]) != elf.ELFMAG {
		return nil, nil
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return nil, nil
	}
	o := &object{machine: e.Machine, class: e.Class, loader: interpreter(e)}
	o.needed, _ = e.DynString(elf.DT_NEEDED)
	paths, _ := e.DynString(elf.DT_RUNPATH)
	if len(paths) == 0 {
		paths, _ = e.DynString(elf.DT_RPATH)
	}
	for _, list := range paths {
		for dir := range strings.SplitSeq(list, ":") {
			dir = strings.NewReplacer("${ORIGIN}", path.Dir(name), "$ORIGIN", path.Dir(name),
				"${LIB}", "lib/"+multiarch(), "$LIB", "lib/"+multiarch()).Replace(dir)
			if path.IsAbs(dir) {
				o.search = append(o.search, path.Clean(dir))
			}
		}
	}
	return o, nil
}

func interpreter(e *elf.File) string {
	for _, prog := range e.Progs {
		if prog.Type != elf.PT_INTERP || prog.Filesz > 4096 {
			continue
		}
		name := make([]byte, prog.Filesz)
		if n, _ := prog.ReadAt(name, 0); n == len(name) {
			return strings.TrimRight(string(name), "\x00")
		}
	}
	return ""
}

// takeLibraries packs the shared libraries that packed programs and libraries
// need, and those that these need. dirs are the loader's own. A library that
// the host does not have is its own affair: the program fails there, too.
func (p *plan) takeLibraries(dirs []string) error {
	var inherited []string // every search path seen: a library may rely on its user's
	for _, base := range loaded {
		if _, err := p.takeLibrary(base, dirs, nil); err != nil {
			return err
		}
	}
	found := map[string]bool{}
	for len(p.objects) > 0 {
		name := p.objects[0]
		p.objects = p.objects[1:]
		if err := p.ctx.Err(); err != nil {
			return err
		}
		o, err := p.inspect(name)
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		if o.loader != "" {
			if _, err := p.take(o.loader); err != nil {
				return err
			}
		}
		for _, dir := range o.search {
			if !slices.Contains(inherited, dir) {
				inherited = append(inherited, dir)
			}
		}
		for _, base := range o.needed {
			if key := base + "\x00" + strings.Join(o.search, ":"); !found[key] {
				found[key] = true
				if err := p.takeNeeded(base, o, dirs, inherited); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// takeNeeded packs what o may get when it asks for base. The search path and
// the loader's directories both give theirs, because $ORIGIN is the directory
// of the path by which a library was opened, which may be a link elsewhere.
func (p *plan) takeNeeded(base string, o *object, dirs, inherited []string) error {
	if strings.Contains(base, "/") {
		_, err := p.take(base)
		return err
	}
	own, err := p.takeLibrary(base, o.search, o)
	if err != nil {
		return err
	}
	standard, err := p.takeLibrary(base, dirs, o)
	if err != nil || own || standard {
		return err
	}
	_, err = p.takeLibrary(base, inherited, o)
	return err
}

// takeLibrary packs the first library of that name in dirs that by can use.
func (p *plan) takeLibrary(base string, dirs []string, by *object) (bool, error) {
	for _, dir := range dirs {
		real, at, _, err := p.host.resolve(path.Join(dir, base))
		if err != nil {
			return false, err
		}
		if !at.file() || !p.host.readable(real, at) {
			continue
		}
		if by != nil {
			o, err := p.inspect(real)
			if err != nil {
				return false, err
			}
			if o == nil || o.machine != by.machine || o.class != by.class {
				continue
			}
		}
		got, err := p.take(path.Join(dir, base))
		if err != nil || got != "" {
			return got != "", err
		}
	}
	return false, nil
}
