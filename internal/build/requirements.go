package build

import (
	"regexp"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/job"
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

// CheckRequirements says what is wrong with a list of Python packages, as a
// job.KindInvalid error.
func CheckRequirements(list []string) error {
	if len(list) > maxRequirements {
		return job.Errorf(job.KindInvalid, "Too many requirements (%d > %d)", len(list), maxRequirements)
	}
	for _, r := range list {
		if len(r) > maxRequirement || !grammar.MatchString(r) {
			return job.Errorf(job.KindInvalid, "the requirement %.80q is not one", r).
				WithHint("write a name and versions, such as numpy, pandas>=2,<3 or uvicorn[standard]==0.30.1")
		}
	}
	return nil
}

// normal is a list as it is compared: sorted, each once, names as indexes
// compare them.
func normal(list []string) []string {
	var out []string
	for _, r := range list {
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
