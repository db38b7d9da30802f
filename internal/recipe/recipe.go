package recipe

import (
	"io/fs"

	"github.com/takovm/tako/internal/job"
)

// PackagesDir is where an image that was made of a recipe has its packages; one
// whose base has some there, too, has its own in PackagesDir-2.
const PackagesDir = "/opt/tako/packages"

// Recipe says what an image is made of.
type Recipe struct {
	Name         string
	Base         string // reference of an image; empty for this machine's Python
	Requirements []string
	Files        []File
	Env          []string // "NAME=value", sorted
	WorkingDir   string
	User         string

	// Shown is the recipe's file, as errors have it; Dir is the directory that
	// sources are relative to.
	Shown, Dir string
	// Path is the file's absolute path; empty for standard input.
	Path string
}

// File is a file or a directory that is copied into the image.
type File struct {
	Source string      // relative to the recipe's directory and below it, or absolute
	Path   string      // where it is in the image
	Mode   fs.FileMode // of a file; 0 for 0755 if its owner may execute it, else 0644

	line int
}

// wrong is what is wrong with one line of the recipe.
func (r *Recipe) wrong(line int, format string, args ...any) *job.Error {
	return job.Errorf(job.KindInvalid, "%s, line %d: %w", r.Shown, line, job.Errorf(job.KindInvalid, format, args...))
}
