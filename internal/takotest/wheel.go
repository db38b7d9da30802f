package takotest

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Wheel is WriteWheel for a test.
func Wheel(t testing.TB, dir, name, version string, files map[string]string, requires ...string) string {
	t.Helper()
	path, err := WriteWheel(dir, name, version, files, requires...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// WriteWheel writes a wheel of pure Python into dir and returns its path. Files
// are by their names below site-packages; requires are requirements of it.
func WriteWheel(dir, name, version string, files map[string]string, requires ...string) (path string, err error) {
	base := strings.ReplaceAll(name, "-", "_") + "-" + version
	info := base + ".dist-info/"
	all := maps.Clone(files)
	metadata := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	for _, r := range requires {
		metadata += "Requires-Dist: " + r + "\n"
	}
	all[info+"METADATA"] = metadata
	all[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: tako\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	var record strings.Builder
	for _, file := range slices.Sorted(maps.Keys(all)) {
		sum := sha256.Sum256([]byte(all[file]))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", file, base64.RawURLEncoding.EncodeToString(sum[:]), len(all[file]))
	}
	all[info+"RECORD"] = record.String() + info + "RECORD,,\n"
	path = filepath.Join(dir, base+"-py3-none-any.whl")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	z := zip.NewWriter(f)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		h := &zip.FileHeader{Name: file, Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.Contains(file, ".data/scripts/") {
			h.SetMode(0o755)
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(all[file]))
		}
		if err != nil {
			return "", errors.Join(err, f.Close())
		}
	}
	return path, errors.Join(z.Close(), f.Close())
}
