package runner

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/takovm/tako/internal/job"
)

// envName is compiled when it is asked for: every sandbox is this binary, too,
// and would pay for it.
var envName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`) })

// validate reports the first thing that is wrong with an attempt, by name.
func (a *Attempt) validate() error {
	checks := []func() error{a.checkProgram, a.checkInput, a.checkArgs, a.checkEnv, a.checkFiles, a.checkPreload, a.Limits.Validate}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return job.Errorf(job.KindInvalid, format, args...)
}

func (a *Attempt) checkProgram() error {
	if len(a.Command) > 0 {
		return nil
	}
	if _, ok := a.Environment.Languages[a.Language]; !ok {
		known := slices.Sorted(maps.Keys(a.Environment.Languages))
		if len(known) == 0 {
			return invalid("unknown language %q: the environment %s has none, only commands can be run in it", a.Language, a.Environment.Name)
		}
		return invalid("unknown language %q: the environment %s has %s", a.Language, a.Environment.Name, strings.Join(known, ", "))
	}
	if len(strings.TrimSpace(string(a.Code))) == 0 {
		return invalid("the code is empty")
	}
	if len(a.Code) > MaxCode {
		return invalid("the code has %d bytes: it must have at most %d", len(a.Code), MaxCode)
	}
	return nil
}

func (a *Attempt) checkInput() error {
	if len(a.Input) > MaxInput {
		return invalid("the input has %d bytes: it must have at most %d", len(a.Input), MaxInput)
	}
	return nil
}

// checkPreload sees to it that names can be written into code as they are.
func (a *Attempt) checkPreload() error {
	for _, name := range a.Preload {
		if !job.ValidModule(name) {
			return invalid("preload: %q is not the name of a Python module", name)
		}
	}
	return nil
}

func (a *Attempt) checkArgs() error {
	all := slices.Concat(a.Command, a.Args)
	if len(all) > MaxArgs {
		return invalid("there are %d arguments: at most %d may be given", len(all), MaxArgs)
	}
	for i, arg := range all {
		if len(arg) > MaxArg {
			return invalid("argument %d has %d bytes: it must have at most %d", i+1, len(arg), MaxArg)
		}
		if strings.ContainsRune(arg, 0) {
			return invalid("argument %d holds a NUL", i+1)
		}
	}
	return nil
}

func (a *Attempt) checkEnv() error {
	if len(a.Env) > MaxEnv {
		return invalid("there are %d environment variables: at most %d may be given", len(a.Env), MaxEnv)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		if !envName().MatchString(name) {
			return invalid("environment variable %q: a name is a letter or _, then letters, digits or _, 256 at most", name)
		}
		if v := a.Env[name]; len(v) > MaxValue || strings.ContainsRune(v, 0) {
			return invalid("environment variable %s: a value has at most %d bytes and no NUL", name, MaxValue)
		}
	}
	return nil
}

func (a *Attempt) checkFiles() error {
	if len(a.Files) > MaxFiles {
		return invalid("there are %d input files: at most %d may be given", len(a.Files), MaxFiles)
	}
	seen := map[string]bool{"data.json": true}
	room := a.Limits.Memory
	for _, f := range a.Files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return invalid("input file %q is there already", f.Path)
		}
		seen[f.Path] = true
		if f.Size < 0 || f.Size > room {
			return invalid("the input files do not fit into the memory limit of %d bytes, with %q at the latest", a.Limits.Memory, f.Path)
		}
		room -= f.Size
	}
	for name := range seen {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return invalid("input file %q cannot be below the file %q", name, dir)
			}
		}
	}
	return nil
}

// checkPath holds the rules for names of input files: relative, no "..", no
// control characters, UTF-8, at most 255 bytes a part.
func checkPath(name string) error {
	if name == "" || len(name) > 4096 || !utf8.ValidString(name) || strings.HasPrefix(name, "/") {
		return invalid("input file %q: a path is relative, UTF-8 and has at most 4096 bytes", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return invalid("input file %q: a path holds no control characters", name)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return invalid("input file %q: a part of a path is not empty, . or .., and has at most 255 bytes", name)
		}
	}
	return nil
}
