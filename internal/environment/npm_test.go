package environment

import (
	"io/fs"
	"strings"
	"testing"
)

// npm's layer has npm, however the machine has it, and nothing else.
func TestNPM(t *testing.T) {
	t.Parallel()
	const share, lib, inside = "/usr/share/nodejs/", "/usr/lib/node_modules/", PackagesDir + npmDir + "/"
	for name, tc := range map[string]struct {
		files      map[string]string
		there, not []string // in the layer, as paths of a sandbox
	}{
		"its authors' own": {map[string]string{
			"/usr/bin/npm":                        "-> ../lib/node_modules/npm/bin/npm-cli.js",
			lib + "npm/bin/npm-cli.js":            "x: npm",
			lib + "npm/package.json":              `{"dependencies":{"semver":"1"}}`,
			lib + "npm/node_modules/semver/x.js":  "semver",
			lib + "npm/node_modules/.bin/semver":  "-> ../semver/x.js",
			lib + "npm/secret":                    "-> /root/secret",
			lib + "npm/node_modules/x.d.ts":       "types",
			lib + "semver/x.js":                   "another",
			"/root/secret":                        secret,
			"/usr/local/bin/npm":                  "-> /opt/npm/bin/npm-cli.js",
			"/usr/local/lib/node_modules/x/y.js":  "other",
			lib + "npm/node_modules/self":         "-> .",
			lib + "npm/node_modules/self2/around": "-> ../../node_modules",
		}, []string{NPMProgram, inside + "npm/node_modules/.bin/semver", inside + "npm/node_modules/semver/x.js"},
			[]string{inside + "npm/secret", inside + "semver", inside + "npm/node_modules/x.d.ts", inside + "node_modules", PackagesDir + "/bin"}},
		"Debian's": {map[string]string{
			"/usr/bin/npm":                       "-> ../share/nodejs/npm/bin/npm-cli.js",
			share + "npm/bin/npm-cli.js":         "x: npm",
			share + "npm/package.json":           `{"dependencies":{"semver":"1","@s/a":"1","util":"1","absent":"1","../x":"1"}}`,
			share + "semver/package.json":        `{"dependencies":{"yallist":"1"}}`,
			share + "yallist/y.js":               "yallist",
			share + "@s/a/package.json":          `no JSON`,
			share + "@s/node_modules":            "-> ../npm/node_modules",
			share + "@s/b/b.js":                  "b",
			share + "npm/node_modules/in/i.js":   "in",
			share + "util/util.js":               "-> ../../javascript/util/util.js",
			"/usr/share/javascript/util/util.js": "util",
			share + "gyp":                        "-> node-gyp",
			share + "@types/t/t.js":              "types",
			share + "webpack/w.js":               "webpack",
		}, []string{NPMProgram, inside + "semver/package.json", inside + "yallist/y.js", inside + "@s/a/package.json", inside + "@s/node_modules", inside + "util/util.js", inside + "node_modules"},
			[]string{inside + "webpack", inside + "@s/b", inside + "@types", inside + "gyp", inside + "x"}},
		"none":                {map[string]string{}, nil, nil},
		"a wrapper":           {map[string]string{"/usr/bin/npm": "x: sh"}, nil, nil},
		"in somebody's home":  {map[string]string{"/usr/bin/npm": "-> /home/x/npm/bin/npm-cli.js", "/home/x/npm/bin/npm-cli.js": secret}, nil, nil},
		"a link with no file": {map[string]string{"/usr/bin/npm": "-> ../lib/node_modules/npm/bin/npm-cli.js"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, with(debian(), tc.files))
			l, ok, err := h.NPM(t.Context())
			if err != nil || ok != (tc.there != nil) {
				t.Fatalf("%+v, %v, %v", l, ok, err)
			}
			if !ok {
				return
			}
			all := readImage(t, l.Image)
			for _, path := range tc.there {
				if _, ok := all[strings.TrimPrefix(path, PackagesDir)]; !ok {
					t.Errorf("%s is not there", path)
				}
			}
			for _, path := range tc.not {
				if _, ok := all[strings.TrimPrefix(path, PackagesDir)]; ok {
					t.Errorf("%s is there", path)
				}
			}
			for path, e := range all {
				if strings.Contains(e.text, secret) {
					t.Errorf("%s has the secret", path)
				}
			}
			if again, _, err := h.NPM(t.Context()); err != nil || again.Digest != l.Digest {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// Every image has a link to npm packages, but one with some of its own.
func TestNodeModulesOfImages(t *testing.T) {
	t.Parallel()
	const target = "packages/node_modules"
	if got := readImage(t, ensure(t, newHost(t, debian())).Image)[nodeLink]; got.text != target {
		t.Errorf("this machine's has %q", got.text)
	}
	_, fsys, _ := packTree(t, ImageConfig{}, map[string]string{"/x": "x"})
	if got, err := fs.ReadLink(fsys, nodeLink[1:]); got != target {
		t.Errorf("an image has %q, %v", got, err)
	}
	_, fsys, _ = packTree(t, ImageConfig{}, map[string]string{"/node_modules/a/a.js": "a"})
	if got, err := fs.ReadFile(fsys, "node_modules/a/a.js"); string(got) != "a" {
		t.Errorf("an image with its own has %q, %v", got, err)
	}
}
