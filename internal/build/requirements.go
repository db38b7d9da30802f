package build

import (
	"regexp"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/pkgindex"
)

// Limits of what may be asked for.
const (
	maxRequirements = 50
	maxRequirement  = 256 // characters
)

// grammar is what a requirement looks like: a name, extras, versions. No URL, no
// path, no marker, no option of an installer.
var grammar = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?` +
	`(\[[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*\])?` +
	`((===|~=|==|!=|<=|>=|<|>)[A-Za-z0-9.*+!-]+(,(===|~=|==|!=|<=|>=|<|>)[A-Za-z0-9.*+!-]+)*)?$`)

// npmPrefix marks an npm package in a list of requirements.
const npmPrefix = "npm:"

// versions is what may follow the name of an npm package: one comparison, or a
// tag such as next. No URL, no path, no alias, no second comparison: who wants two
// asks for the package twice.
var versions = regexp.MustCompile(`^((\^|~|>=|<=|>|<|=)?v?[0-9*xX][0-9A-Za-z.*+-]*|[A-Za-z][0-9A-Za-z._-]*)$`)

// CheckRequirements says what is wrong with a list of packages, as a
// job.KindInvalid error.
func CheckRequirements(list []string) error {
	if len(list) > maxRequirements {
		return job.Errorf(job.KindInvalid, "Too many requirements (%d > %d)", len(list), maxRequirements)
	}
	for _, r := range list {
		if rest, ok := strings.CutPrefix(r, npmPrefix); ok {
			name, version := cutNPM(rest)
			if len(r) > maxRequirement || !pkgindex.ValidNPM(name) || !versions.MatchString(version) {
				return job.Errorf(job.KindInvalid, "the requirement %.80q is not an npm package", r).
					WithHint("write a name and a version, such as npm:lodash, npm:left-pad@1.3.0 or npm:@scope/name@^4.1")
			}
			continue
		}
		if len(r) > maxRequirement || !grammar.MatchString(r) {
			return job.Errorf(job.KindInvalid, "the requirement %.80q is not one", r).
				WithHint("write a name and versions, such as numpy, pandas>=2,<3 or uvicorn[standard]==0.30.1; npm:lodash is an npm package")
		}
	}
	return nil
}

// cutNPM splits an npm package's name from its version, which is * where there
// is none.
func cutNPM(text string) (name, version string) {
	i := strings.LastIndexByte(text, '@')
	if i <= 0 { // that of a scope
		return text, "*"
	}
	return text[:i], text[i+1:]
}

// split takes a list of requirements apart: Python's, and npm's without their
// prefix.
func split(list []string) (python, npm []string) {
	for _, r := range list {
		if rest, ok := strings.CutPrefix(r, npmPrefix); ok {
			npm = append(npm, rest)
		} else {
			python = append(python, r)
		}
	}
	return python, npm
}

// normal is a list as it is compared: sorted, each once, names as indexes
// compare them. npm tells capitals and punctuation apart.
func normal(list []string) []string {
	var out []string
	for _, r := range list {
		if strings.HasPrefix(r, npmPrefix) {
			out = append(out, r)
			continue
		}
		end := strings.IndexAny(r, "[=~!<>")
		if end < 0 {
			end = len(r)
		}
		name := strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(r[:end], "-"))
		out = append(out, name+r[end:])
	}
	slices.Sort(out)
	return slices.Compact(out)
}
