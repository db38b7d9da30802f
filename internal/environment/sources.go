package environment

import "path"

// nodeModules are what Debian's node loads from /usr/share/nodejs before it
// runs a program, because Debian builds it without its bundled copies.
// Node from elsewhere has them inside. npm is not among them.
var nodeModules = []string{
	"acorn", "acorn-walk", "amaro", "balanced-match", "binary-search", "brace-expansion", "busboy", "cjs-module-lexer",
	"minimatch", "streamsearch", "undici",
}

// converters are the character sets that iconv(3) gets beside those in libc.
var converters = []string{
	"UTF-7.so", "UTF-16.so", "UTF-32.so", "UNICODE.so", "ISO8859-1.so", "ISO8859-15.so", "CP1252.so",
	"gconv-modules", "gconv-modules.cache",
}

var terminals = []string{
	"d/dumb", "l/linux", "s/screen", "s/screen-256color", "t/tmux", "t/tmux-256color", "v/vt100", "x/xterm",
	"x/xterm-256color", "x/xterm-color",
}

// takeAll packs everything and returns what the image can run.
func (p *plan) takeAll() (version string, languages map[string]Language, err error) {
	if version, err = p.takePython(); err != nil {
		return "", nil, err
	}
	for _, name := range sourcePaths() {
		if _, err := p.take(name); err != nil {
			return "", nil, err
		}
	}
	dirs, err := p.libraryDirs()
	if err != nil {
		return "", nil, err
	}
	if err := p.takeLibraries(dirs); err != nil {
		return "", nil, err
	}
	addParents(p.entries)
	p.writeEtc(dirs)
	for _, dir := range mountPoints {
		p.add(&entry{path: dir, kind: directory, mode: 0o755}, false)
	}
	p.add(linkToNodeModules(), false)
	return version, p.languages(version), nil
}

// sourcePaths are the paths beside Python's that are packed where the host
// has them.
func sourcePaths() []string {
	names := []string{
		"/usr/share/zoneinfo", "/usr/lib/locale/C.utf8", "/usr/lib/os-release",
		"/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs", "/usr/share/misc/magic.mgc", "/usr/share/matplotlib/mpl-data",
		"/bin/node", "/usr/bin/node", "/usr/bin/nodejs",
		"/usr/lib/" + multiarch() + "/ossl-modules",
	}
	names = append(names, copied...)
	for _, base := range tools {
		for _, dir := range binaries {
			names = append(names, path.Join(dir, base))
		}
	}
	for _, base := range nodeModules {
		names = append(names, path.Join("/usr/share/nodejs", base))
	}
	for _, base := range converters {
		names = append(names, path.Join("/usr/lib", multiarch(), "gconv", base))
	}
	for _, base := range terminals {
		names = append(names, path.Join("/usr/share/terminfo", base), path.Join("/lib/terminfo", base))
	}
	return names
}

// languages are those whose interpreter was packed.
func (p *plan) languages(version string) map[string]Language {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
	all := map[string]Language{
		"python": {
			Command: []string{interpreterPath, "-u"}, File: "main.py", Preloads: p.preloads(),
			Env: append([]string{"PYTHON_VERSION=" + version}, env...),
		},
		"node": {Command: []string{"/usr/bin/node"}, File: "main.js", Env: env},
		"bash": {Command: []string{"/bin/bash"}, File: "main.sh", Env: env},
	}
	found := map[string]Language{}
	for name, language := range all {
		if e := resolveIn(p.entries, language.Command[0]); e != nil && e.kind == file {
			found[name] = language
		}
	}
	return found
}
