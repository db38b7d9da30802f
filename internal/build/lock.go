package build

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// Lock says what exactly was installed, in the words of the installers, so that
// it can be installed again elsewhere.
type Lock struct {
	Python string          `json:"python,omitempty"` // a requirements.txt with hashes
	NPM    json.RawMessage `json:"npm,omitempty"`    // a package-lock.json
}

// Lock answers what is in an environment with packages, by its digest. One that
// is not known here is job.KindNotFound.
func (b *Builder) Lock(digest string) (l Lock, err error) {
	if strings.Trim(digest, "0123456789abcdef") == "" {
		var data []byte
		if data, err = os.ReadFile(b.lockPath(digest)); err == nil {
			err = json.Unmarshal(data, &l)
		}
	}
	if err != nil || l.Python == "" && l.NPM == nil {
		return Lock{}, job.Errorf(job.KindNotFound, "there is no lock of the environment %.12s", digest)
	}
	return l, nil
}

func (b *Builder) lockPath(digest string) string {
	return filepath.Join(b.o.Dir, "env-"+digest+".locked")
}

// lockPython is a requirements.txt of what was installed, "name==version" each.
// sums are the SHA-256 of the files that the installer was given, by name: those
// of the installed versions are among them.
func lockPython(installed []string, sums map[string]string) string {
	hashes := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(sums)) {
		if sum, err := hex.DecodeString(sums[file]); err == nil && len(sum) == 32 {
			hashes[versionOf(file)] = append(hashes[versionOf(file)], " --hash=sha256:"+sums[file])
		}
	}
	var text strings.Builder
	for _, name := range installed {
		fmt.Fprintln(&text, name+strings.Join(hashes[name], ""))
	}
	return text.String()
}

// versionOf is the "name==version" of a wheel's or a source distribution's file.
func versionOf(file string) string {
	base, isWheel := strings.CutSuffix(file, ".whl")
	parts := strings.Split(base, "-")
	if isWheel && len(parts) > 1 {
		return pinned(parts[0], parts[1])
	}
	base = strings.TrimSuffix(strings.TrimSuffix(file, ".tar.gz"), ".zip")
	at := max(0, strings.LastIndexByte(base, '-'))
	return pinned(base[:at], strings.TrimPrefix(base[at:], "-"))
}

// pinned names a version, as indexes compare names.
func pinned(name, version string) string {
	return strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(name, "-")) + "==" + version
}
