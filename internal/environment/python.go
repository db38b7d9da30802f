package environment

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

// interpreterPath is the one Python that is packed. What PATH says does not
// matter: a pyenv or conda there belongs to a user.
const interpreterPath = "/usr/bin/python3"

// errNoPython is the one line for a host without Python.
func errNoPython() error {
	return job.Errorf(job.KindUnavailable, "this machine has no Python in %s", interpreterPath).
		WithHint("install it with `apt-get install python3`")
}

// pythonMinor returns "3.11" of a name like python3.11.
func pythonMinor(base string) (string, bool) {
	minor, ok := strings.CutPrefix(base, "python3.")
	if !ok || minor == "" || strings.Trim(minor, "0123456789") != "" {
		return "", false
	}
	return "3." + minor, true
}

// takePython packs the interpreter, its standard library and its site
// packages, and returns the version, such as "3.11.2".
func (p *plan) takePython() (version string, err error) {
	real, err := p.take(interpreterPath)
	if err != nil {
		return "", err
	}
	if real == "" {
		return "", errNoPython()
	}
	minor, ok := pythonMinor(path.Base(real))
	if !ok {
		if minor, err = p.newestStdlib(); err != nil {
			return "", err
		}
	}
	stdlib := false
	for _, dir := range []string{
		"/usr/lib/python" + minor, "/usr/lib64/python" + minor, "/usr/lib/python3",
		"/usr/local/lib/python" + minor, "/usr/local/lib64/python" + minor,
		"/usr/share/python-wheels", // pip, for venv and ensurepip
	} {
		got, err := p.take(dir)
		if err != nil {
			return "", err
		}
		stdlib = stdlib || p.entries[path.Join(got, "os.py")] != nil
	}
	if !stdlib {
		return "", job.Errorf(job.KindUnavailable, "this machine has no standard library for Python %s in /usr/lib", minor).
			WithHint("install it with `apt-get install python3`")
	}
	if p.entries["/usr/bin/python"] == nil {
		// Debian leaves the plain name out; much that runs python expects it.
		p.add(&entry{path: "/usr/bin/python", kind: link, target: "python3"}, false)
	}
	if err := p.writePreloadHook(minor); err != nil {
		return "", err
	}
	return p.pythonVersion(real, minor)
}

// newestStdlib finds the minor version of an interpreter whose name does not
// tell it.
func (p *plan) newestStdlib() (minor string, err error) {
	for n := 6; n < 100; n++ {
		candidate := fmt.Sprintf("3.%d", n)
		_, at, _, err := p.host.resolve("/usr/lib/python" + candidate + "/os.py")
		if err != nil {
			return "", err
		}
		if at.file() {
			minor = candidate
		}
	}
	if minor == "" {
		return "", errNoPython()
	}
	return minor, nil
}

// maxInterpreter bounds the part of an interpreter that is searched for its
// version, in bytes.
const maxInterpreter = 64 << 20

// pythonVersion finds the full version without running anything: PY_VERSION is
// a NUL-terminated string in the interpreter or in its libpython. Without one
// it is the minor version.
func (p *plan) pythonVersion(interpreter, minor string) (string, error) {
	candidates := []string{interpreter}
	for _, dir := range standardLibraries() {
		real, at, _, err := p.host.resolve(path.Join(dir, "libpython"+minor+".so.1.0"))
		if err != nil {
			return "", err
		}
		if at.file() && p.host.readable(real, at) {
			candidates = append(candidates, real)
		}
	}
	for _, name := range candidates {
		f, err := p.host.open(name)
		if err != nil {
			return "", err
		}
		size := min(p.host.seen[name].size, maxInterpreter)
		content, err := unix.Mmap(int(f.Fd()), 0, int(max(size, 1)), unix.PROT_READ, unix.MAP_PRIVATE)
		f.Close()
		if err != nil || size == 0 {
			continue
		}
		version := versionIn(content, minor)
		if err := unix.Munmap(content); err != nil {
			return "", fmt.Errorf("reading %s: %w", name, err)
		}
		if version != "" {
			return version, nil
		}
	}
	return minor, nil
}

// versionIn finds the first string like "3.11.2", "3.13.0rc1" or "3.11.2+".
func versionIn(content []byte, minor string) string {
	prefix := []byte(minor + ".")
	for at := 0; ; {
		i := bytes.Index(content[at:], prefix)
		if i < 0 {
			return ""
		}
		start := at + i
		at = start + len(prefix)
		end := bytes.IndexByte(content[at:min(at+16, len(content))], 0)
		if end <= 0 || (start > 0 && strings.IndexByte("0123456789.", content[start-1]) >= 0) {
			continue
		}
		micro := string(content[at : at+end])
		if rest := strings.TrimLeft(micro, "0123456789"); rest != micro && strings.Trim(rest, "0123456789abrc+") == "" {
			return minor + "." + micro
		}
	}
}
