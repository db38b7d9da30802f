package pkgindex

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// Limits of an npm package in the directory.
const (
	maxPackageJSON = 1 << 20
	maxBeforeJSON  = 256 << 20 // bytes of it that are looked through
)

// readPacked reads what npm packages are in the directory: files that npm pack
// made, whose names do not tell what is in them.
func (g *Gateway) readPacked() (map[string]packument, error) {
	packed := map[string]packument{}
	if g.wheels == nil {
		return packed, nil
	}
	entries, err := fs.ReadDir(g.wheels.FS(), ".")
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the directory of packages: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !validFile(e.Name()) || !strings.HasSuffix(e.Name(), ".tgz") {
			continue
		}
		v, err := g.readPackage(e.Name())
		if err != nil {
			return nil, job.Errorf(job.KindUnavailable, "%s in the directory of packages is no npm package: %w", e.Name(), err).
				WithHint("make it again with npm pack, or remove it")
		}
		p, ok := packed[v.Name]
		if !ok {
			p = packument{Tags: map[string]string{}, Versions: map[string]*npmVersion{}}
			packed[v.Name] = p
		}
		p.Versions[v.Version] = v
	}
	return packed, nil
}

func (g *Gateway) readPackage(file string) (*npmVersion, error) {
	f, err := g.wheels.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha512.New()
	v, err := packageJSON(io.TeeReader(f, sum))
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	v.Dist = npmDist{Integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))}
	v.base = file
	if !ValidNPM(v.Name) || !validVersion(v.Version) {
		return nil, fmt.Errorf("its package.json says %.80q, version %.80q", v.Name, v.Version)
	}
	return v, nil
}

// packageJSON reads the one that is not in a directory of the package's own. All
// of r is not read.
func packageJSON(r io.Reader) (*npmVersion, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(io.LimitReader(z, maxBeforeJSON)); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it has no package.json")
		}
		if err != nil {
			return nil, err
		}
		dir, base, _ := strings.Cut(strings.TrimPrefix(h.Name, "./"), "/")
		if h.Typeflag != tar.TypeReg || dir == "" || base != "package.json" {
			continue
		}
		var v struct {
			npmVersion
			Dist json.RawMessage `json:"dist"` // means something to the package alone
		}
		if err := json.NewDecoder(io.LimitReader(t, maxPackageJSON)).Decode(&v); err != nil {
			return nil, fmt.Errorf("its package.json: %w", err)
		}
		return &v.npmVersion, nil
	}
}
