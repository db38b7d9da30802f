package pkgindex

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// The page of an npm package as installers need it, without descriptions.
// https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
const npmType = "application/vnd.npm.install-v1+json"

// Limits of an npm package's page.
const (
	maxVersion = 256  // characters
	maxTags    = 1000 // names of versions
	maxNPMName = 214
)

// packument is the page of an npm package.
type packument struct {
	Name     string                 `json:"name"`
	Tags     map[string]string      `json:"dist-tags"`
	Versions map[string]*npmVersion `json:"versions"`
}

// npmVersion is one version on it. What is not here, scripts above all, is left
// out; what is raw means something to the installer alone.
type npmVersion struct {
	Name                 string          `json:"name"`
	Version              string          `json:"version"`
	Deprecated           json.RawMessage `json:"deprecated,omitempty"`
	Dependencies         json.RawMessage `json:"dependencies,omitempty"`
	OptionalDependencies json.RawMessage `json:"optionalDependencies,omitempty"`
	PeerDependencies     json.RawMessage `json:"peerDependencies,omitempty"`
	PeerDependenciesMeta json.RawMessage `json:"peerDependenciesMeta,omitempty"`
	AcceptDependencies   json.RawMessage `json:"acceptDependencies,omitempty"`
	BundleDependencies   json.RawMessage `json:"bundleDependencies,omitempty"`
	BundledDependencies  json.RawMessage `json:"bundledDependencies,omitempty"`
	Bin                  json.RawMessage `json:"bin,omitempty"`
	Directories          json.RawMessage `json:"directories,omitempty"`
	Engines              json.RawMessage `json:"engines,omitempty"`
	OS                   json.RawMessage `json:"os,omitempty"`
	CPU                  json.RawMessage `json:"cpu,omitempty"`
	Libc                 json.RawMessage `json:"libc,omitempty"`
	HasInstallScript     json.RawMessage `json:"hasInstallScript,omitempty"`
	HasShrinkwrap        json.RawMessage `json:"_hasShrinkwrap,omitempty"`
	Dist                 npmDist         `json:"dist"`

	file *url.URL // where Dist.Tarball is; nil in the directory
	base string   // the name of the file in the directory
}

// npmDist says where a version's file is, and what it has to be.
type npmDist struct {
	Tarball   string `json:"tarball"`
	Integrity string `json:"integrity,omitempty"`
	Shasum    string `json:"shasum,omitempty"`
}

// ValidNPM reports what an npm package may be called.
func ValidNPM(name string) bool {
	return len(name) <= maxNPMName && name != "node_modules" && name != "favicon.ico" &&
		regexp.MustCompile(`^(@[A-Za-z0-9][A-Za-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._~-]*$`).MatchString(name)
}

// npm answers the page of an npm package, or a file of it.
func (g *Gateway) npm(w http.ResponseWriter, r *http.Request, rest string) {
	name, file, isFile := strings.Cut(strings.TrimSuffix(rest, "/"), "/-/")
	if !ValidNPM(name) {
		http.NotFound(w, r)
		return
	}
	p := page{"/npm/" + name, npmType, g.asking, func(ctx context.Context) ([]byte, error) { return g.renderNPM(ctx, name) }}
	if !isFile {
		g.once(w, r, p)
		return
	}
	// A package may name the files that it needs before their pages were looked at
	// (npm-shrinkwrap.json).
	if _, err := g.content(r.Context(), p); err != nil {
		http.Error(w, "the registry does not answer", http.StatusBadGateway)
		return
	}
	g.mu.Lock()
	t, ok := g.npms[name+"/-/"+file]
	g.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	g.send(w, r, t)
}

// renderNPM makes the page of a package. Files are where they are in the registry
// of npm's authors, so that a package that names one finds it here.
func (g *Gateway) renderNPM(ctx context.Context, name string) ([]byte, error) {
	p, index, err := g.packument(ctx, name)
	if err != nil || p == nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for version, v := range p.Versions {
		v.Name, v.Version = name, version
		file := path.Base(name) + "-" + version + ".tgz"
		at := name + "/-/" + file
		g.npms[at] = target{url: v.file, name: cmp.Or(v.base, file), index: index}
		v.Dist.Tarball = NPMURL + at
	}
	p.Name = name
	return json.Marshal(p)
}

// packument finds a package in the directory, else in the registry; nil where
// neither has it.
func (g *Gateway) packument(ctx context.Context, name string) (p *packument, index *url.URL, err error) {
	packed, err := g.packed()
	if err != nil {
		g.mu.Lock()
		g.fault = cmp.Or(g.fault, err)
		g.mu.Unlock()
		return nil, nil, err
	}
	if local, ok := packed[name]; ok {
		return &local, nil, nil
	}
	if g.o.NPM == nil {
		return nil, nil, nil
	}
	u := *g.o.NPM
	u.User = nil
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + name
	u.RawPath = strings.TrimSuffix(g.o.NPM.EscapedPath(), "/") + "/" + strings.Replace(name, "/", "%2f", 1)
	there, err := g.read(ctx, &u, g.o.NPM, npmType+", application/json;q=0.8", func(resp *http.Response) (err error) {
		p, err = parsePackument(resp.Body, resp.Request.URL)
		return err
	})
	if err != nil && ctx.Err() == nil {
		g.fail(g.o.NPM, err)
	}
	if err != nil || !there {
		return nil, nil, err
	}
	return p, g.o.NPM, nil
}

// parsePackument reads a page that was fetched from base. Versions that make no
// sense are left out.
func parsePackument(r io.Reader, base *url.URL) (*packument, error) {
	counted := &counter{r: io.LimitReader(r, maxPage+1)}
	p := &packument{Tags: map[string]string{}, Versions: map[string]*npmVersion{}}
	err := fields(json.NewDecoder(counted), func(d *json.Decoder, name string) error {
		switch name {
		case "dist-tags":
			return fields(d, p.tag)
		case "versions":
			return fields(d, func(d *json.Decoder, version string) error { return p.version(d, version, base) })
		}
		var other json.RawMessage
		return d.Decode(&other)
	})
	switch {
	case counted.n > maxPage:
		return nil, fmt.Errorf("a page is larger than %d MB", maxPage>>20)
	case err != nil:
		return nil, fmt.Errorf("reading a page: %w", err)
	case len(p.Versions) == 0:
		return nil, errors.New("reading a page: it has no versions")
	}
	return p, nil
}

// fields reads an object, of which each field is taken by take.
func fields(d *json.Decoder, take func(d *json.Decoder, name string) error) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(err, errNPMPage)
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return errors.Join(err, errNPMPage)
		}
		if err := take(d, name); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

var errNPMPage = errors.New("it is not the page of an npm package")

func (p *packument) tag(d *json.Decoder, name string) error {
	var version any
	if err := d.Decode(&version); err != nil {
		return err
	}
	if v, ok := version.(string); ok && len(p.Tags) < maxTags && len(name) <= maxVersion && validVersion(v) {
		p.Tags[name] = v
	}
	return nil
}

func (p *packument) version(d *json.Decoder, version string, base *url.URL) error {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return err
	}
	if len(p.Versions) == maxLinks {
		return fmt.Errorf("it has more than %d versions", maxLinks)
	}
	v := &npmVersion{}
	if !validVersion(version) || json.Unmarshal(raw, v) != nil || v.Dist.Tarball == "" {
		return nil
	}
	u, err := base.Parse(v.Dist.Tarball)
	if err != nil {
		return nil
	}
	u.Fragment, v.file = "", u
	p.Versions[version] = v
	return nil
}

func validVersion(v string) bool {
	return len(v) <= maxVersion && regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]*$`).MatchString(v)
}

// Origin answers where in the registry a link of ours leads, for others to know.
// It is empty for what is in the directory or on another host, for what is no
// link of ours, and where the registry's own address has a path: that may be a
// password.
func (g *Gateway) Origin(link string) string {
	at, _ := strings.CutPrefix(link, NPMURL)
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.npms[at]
	if !ok || t.index == nil || !sameHost(t.url, t.index) || strings.Trim(t.index.Path, "/") != "" {
		return ""
	}
	u := *t.url
	u.User, u.RawQuery = nil, ""
	return u.String()
}
