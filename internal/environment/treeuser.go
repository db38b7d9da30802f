package environment

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// sandboxID is the user and group of code whose image asks for none, or for
// root. It is part of the contract with jobs.
const sandboxID = 1000

// maxID is the highest user or group that an image may ask for: the range in
// which every kernel takes an id for one.
const maxID = 1<<31 - 2

// identify fills in whom the image's user is inside a sandbox.
func (p *treePlan) identify(config *ImageConfig) {
	config.UID, config.GID = sandboxID, sandboxID
	user, group, _ := strings.Cut(config.User, ":")
	if user == "" {
		return
	}
	uid, primary, ok := p.lookUp("/etc/passwd", user)
	if !ok {
		p.note(fmt.Sprintf("the image has no user %q: programs run as %d", user, sandboxID))
		return
	}
	if uid == 0 {
		return
	}
	config.UID = uid
	if group != "" {
		primary, _, ok = p.lookUp("/etc/group", group)
	}
	if ok && primary != 0 {
		config.GID = primary
	}
}

// lookUp finds an id by number or name; more is the column after the id, a
// user's group.
func (p *treePlan) lookUp(table, who string) (id, more int, ok bool) {
	n, numeric := parseID(who)
	for row := range strings.Lines(string(p.small(table))) {
		fields := strings.Split(strings.TrimSpace(row), ":")
		if len(fields) < 4 || fields[0] != who && (!numeric || fields[2] != strconv.Itoa(n)) {
			continue
		}
		if id, ok = parseID(fields[2]); !ok {
			continue
		}
		if more, ok = parseID(fields[3]); !ok {
			more = 0
		}
		return id, more, true
	}
	return n, 0, numeric
}

func parseID(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil && n <= maxID
}

// languages are those whose interpreters are in the tree, and the version of the
// first of them.
func (p *treePlan) languages(config *ImageConfig) (version string, found map[string]Language) {
	search := config.Variable("PATH")
	if search == "" {
		search = "/usr/local/bin:/usr/bin:/bin"
	}
	found = map[string]Language{}
	for _, l := range []struct {
		name, file string
		command    []string
		flags      []string
	}{
		{"python", "main.py", []string{"python3", "python"}, []string{"-u"}},
		{"node", "main.js", []string{"node", "nodejs"}, nil},
		{"bash", "main.sh", []string{"bash"}, nil},
	} {
		name, e := p.program(l.command, search)
		if e == nil {
			continue
		}
		env := []string{"PATH=" + search, "LANG=C.UTF-8"}
		if l.name == "python" {
			if version = p.pythonVersion(e); version == "" {
				continue // Python 2 goes by the name of python
			}
			env = append([]string{"PYTHON_VERSION=" + version}, env...)
		}
		found[l.name] = Language{Command: append([]string{name}, l.flags...), File: l.file, Env: env, Preloads: l.name == "python" && p.preloads(e, version)}
	}
	return version, found
}

// preloads reports whether the tree has this machine's own hook, in a directory
// that this interpreter looks into: a recipe without a base has it.
func (p *treePlan) preloads(interpreter *entry, version string) bool {
	if path.Dir(interpreter.path) != path.Dir(interpreterPath) {
		return false
	}
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	return slices.ContainsFunc(packageDirs(major+"."+minor), func(dir string) bool {
		return string(p.small(path.Join(dir, hookName))) == preloadHook
	})
}

// program finds the first of some names of a program along a search path. The
// image's own path comes first: what it has put there is what it means.
func (p *treePlan) program(names []string, search string) (string, *entry) {
	dirs := append(strings.Split(search, ":"), "/usr/local/bin", "/usr/bin", "/bin")
	for _, base := range names {
		for _, dir := range dirs {
			if !path.IsAbs(dir) {
				continue
			}
			name := path.Join(dir, base)
			if e := resolveIn(p.entries, name); e != nil && e.kind == file && e.mode&0o111 != 0 && !mounted(path.Dir(name)) {
				return name, e
			}
		}
	}
	return "", nil
}

// pythonVersion is the version of an interpreter of the tree, from its file or
// its library; the minor one where they do not tell. Empty if it is not Python 3.
func (p *treePlan) pythonVersion(interpreter *entry) string {
	prefix := path.Dir(path.Dir(interpreter.path))
	minor, ok := pythonMinor(path.Base(interpreter.path))
	for n := 99; !ok && n >= 6; n-- { // its own name does not tell: its library's does
		minor = fmt.Sprintf("3.%d", n)
		ok = resolveIn(p.entries, path.Join(prefix, "lib", "python"+minor, "os.py")) != nil
	}
	if !ok {
		return ""
	}
	library := "libpython" + minor + ".so.1.0"
	for _, e := range []*entry{
		interpreter, resolveIn(p.entries, path.Join(prefix, "lib", library)), resolveIn(p.entries, path.Join(prefix, "lib64", library)),
		resolveIn(p.entries, path.Join(prefix, "lib", multiarch(), library)),
	} {
		if e == nil || e.kind != file {
			continue
		}
		if version := versionIn(readHead(e, maxInterpreter), minor); version != "" {
			return version
		}
	}
	return minor
}
