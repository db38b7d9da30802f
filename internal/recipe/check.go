package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
)

// ownDir is what recipes cannot put files in.
const ownDir = "/opt/tako/"

// maxFiles is how many items files may have; each may be a directory.
const maxFiles = 1000

// plain is an error without its mend, which a line of a recipe has no room for.
func plain(err error) string {
	var je *job.Error
	if errors.As(err, &je) {
		return je.Msg
	}
	return err.Error()
}

func referenceProblem(text string) string {
	if err := oci.CheckReference(text); err != nil {
		return err.Error()
	}
	return ""
}

func nameProblem(text string) string {
	if msg := referenceProblem(text); msg != "" {
		return msg
	}
	if strings.Contains(text, "@") {
		return fmt.Sprintf("the name %.200q has a digest, which is not known before the image is made; write a name and a tag", text)
	}
	return ""
}

func requirementProblem(text string) string {
	if err := build.CheckRequirements([]string{text}); err != nil {
		return err.Error()
	}
	return ""
}

func requirementsProblem(all []string) string {
	if err := build.CheckRequirements(all); err != nil {
		return plain(err)
	}
	return ""
}

func sourceProblem(text string) string {
	switch {
	case text == "":
		return "source is empty"
	case !filepath.IsAbs(text) && !filepath.IsLocal(text):
		return fmt.Sprintf("the source %q leaves the directory of the recipe; write an absolute path if that is meant", text)
	}
	return ""
}

// pathProblem is about a destination as it is written; placing looks where links
// of the base lead.
func pathProblem(text string) string {
	switch {
	case !path.IsAbs(text):
		return fmt.Sprintf("the path %q must begin with /: it is where the file is in the image", text)
	case path.Clean(text) != text:
		return fmt.Sprintf("the path %q must be written plainly, without .. and extra slashes", text)
	case text == "/":
		return "the path is the root of the image; name a directory in it"
	case !utf8.ValidString(text):
		return fmt.Sprintf("the path %q is not UTF-8", text)
	}
	return takenProblem(text)
}

// takenProblem says who else has something at a path of the image.
func takenProblem(name string) string {
	switch {
	case name+"/" == ownDir || strings.HasPrefix(name, ownDir):
		return fmt.Sprintf("the path %q is in %s, where the packages of recipes are", name, ownDir)
	case slices.Contains([]string{"/etc/hosts", "/etc/resolv.conf"}, name):
		return fmt.Sprintf("the path %q is written anew for every sandbox", name)
	case environment.Mounted(name):
		return fmt.Sprintf("the path %q is in a directory that a sandbox has of its own: the image's would not be seen", name)
	case strings.Contains(name, "/.wh."):
		return fmt.Sprintf("the path %q has a part that begins with .wh., which means in an image that something is removed", name)
	}
	return ""
}

func workdirProblem(text string) string {
	switch {
	case !path.IsAbs(text) || path.Clean(text) != text || strings.Contains(text, "/.wh."):
		return fmt.Sprintf("the workdir %q must be an absolute path, without .. and extra slashes", text)
	case text != "/app" && environment.Mounted(text):
		return fmt.Sprintf("the workdir %q is in a directory that a sandbox has of its own; of those only /app can be one", text)
	}
	return ""
}

func userProblem(text string) string {
	if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$`).MatchString(text) {
		return fmt.Sprintf("the user %.80q must be a name or a number, with or without a :group", text)
	}
	return ""
}

func variableProblem(name, value string) string {
	if !environment.ValidVariable(name, value) {
		return fmt.Sprintf("the variable %.64q cannot be set: a name is [A-Za-z_][A-Za-z0-9_]* of at most 256 characters, a value has at most 32768 bytes without NUL", name)
	}
	return ""
}

// parseMode reads the permissions of a file.
func parseMode(text string) (fs.FileMode, string) {
	n, err := strconv.ParseUint(text, 8, 16)
	if err != nil || len(text) < 3 || len(text) > 5 || n == 0 {
		return 0, fmt.Sprintf(`the mode %.20q must be octal, such as "0755"`, text)
	}
	if n > 0o777 {
		return 0, fmt.Sprintf("the mode %q has setuid, setgid or the sticky bit, which images do not keep", text)
	}
	return fs.FileMode(n), ""
}
