package assembly

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// newNPM is newPackaged on a machine that has node and npm.
func newNPM(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	r := newPackaged(t, change)
	env := r.images.current()
	_, ok, err := r.images.host.NPM(t.Context())
	must(t, err)
	if _, node := env.Languages["node"]; !ok || !node {
		t.Skip("this machine has no node or no npm (make test installs them)")
	}
	return r
}

// node runs JavaScript in an environment with packages.
func (r *rig) node(t *testing.T, env environment.Environment, code string) *runner.Result {
	t.Helper()
	a := r.python(code)
	a.Language, a.Environment = "node", env
	res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
	must(t, err)
	return res
}

type m = map[string]any

// stock fills a registry with what these tests install.
func stock(t *testing.T) *takotest.NPMRegistry {
	t.Helper()
	up := takotest.NewNPMRegistry(t)
	ran := "node -e \"require('fs').writeFileSync('RAN','x')\""
	up.Publish(t, m{"name": "demo-a", "version": "1.0.0", "main": "a.js", "dependencies": m{"demo-b": "^2.0.0", "@demo/c": "*"}},
		map[string]string{"a.js": "module.exports = 'a1 ' + require('demo-b') + ' ' + require('@demo/c')"}, nil)
	up.Publish(t, m{"name": "demo-b", "version": "1.0.0", "main": "b.js"}, map[string]string{"b.js": "module.exports = 'b1'"}, nil)
	up.Publish(t, m{"name": "demo-b", "version": "2.1.0", "main": "b.js", "bin": m{"demo-tool": "tool.js"}},
		map[string]string{"b.js": "module.exports = 'b21'", "tool.js": "#!/usr/bin/env node\nconsole.log('a tool with ' + require('./b.js'))\n"}, nil)
	up.Publish(t, m{"name": "@demo/c", "version": "3.0.0", "type": "module", "exports": m{"import": "./c.mjs", "require": "./c.cjs"}},
		map[string]string{"c.mjs": "export default 'c3 as a module'", "c.cjs": "module.exports = 'c3'"}, nil)
	up.Publish(t, m{"name": "scripted", "version": "1.0.0", "scripts": m{"preinstall": ran, "install": ran, "postinstall": ran, "prepare": ran}},
		map[string]string{"index.js": "module.exports = require('fs').readdirSync(__dirname)", "binding.gyp": "{}"}, nil)
	up.Publish(t, m{"name": "shrunk", "version": "1.0.0", "dependencies": m{"demo-b": "*"}}, map[string]string{"index.js": "module.exports = require('demo-b')",
		"npm-shrinkwrap.json": `{"name":"shrunk","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"shrunk","version":"1.0.0","dependencies":{"demo-b":"*"}},
			"node_modules/demo-b":{"version":"1.0.0","resolved":"https://registry.npmjs.org/demo-b/-/demo-b-1.0.0.tgz"}}}`,
	}, func(v m) { v["_hasShrinkwrap"] = true })
	up.Publish(t, m{"name": "climber", "version": "1.0.0"}, map[string]string{"../../../../escaped.js": "x", "index.js": "", "link.js": "-> /etc/passwd"}, nil)
	up.Publish(t, m{"name": "conflict", "version": "1.0.0", "peerDependencies": m{"demo-b": "1"}}, nil, nil)
	up.Publish(t, m{"name": "wrong", "version": "1.0.0"}, nil, func(v m) { v["dist"].(m)["integrity"] = "sha512-" + strings.Repeat("A", 86) + "==" })
	up.Publish(t, m{"name": "away", "version": "1.0.0"}, nil, func(v m) { v["dist"].(m)["tarball"] = "http://127.0.0.1:1/away.tgz" })
	up.Publish(t, m{"name": "gone", "version": "1.0.0"}, nil, func(v m) { v["dist"].(m)["tarball"] = up.URL + "/nothing.tgz" })
	up.Publish(t, m{"name": "git", "version": "1.0.0", "dependencies": m{"x": "git+https://git.example/x.git"}}, nil, nil)
	up.Page("bomb", `{"versions":`+strings.Repeat(`{"1.0.0":`, 20000))
	return up
}

// npm's packages are where programs look for them, however they do, and nobody
// can change them, nor reach the registry, nor npm.
func TestNPMPackages(t *testing.T) {
	up := stock(t)
	up.Authorization = "Bearer the-token"
	r := newNPM(t, func(c *config.Config) {
		c.NPMRegistryURL = config.Secret(strings.Replace(up.URL, "://", "://the-token@", 1))
	})
	var log strings.Builder
	env, err := r.Environment(t.Context(), Wanted{Requirements: []string{"npm:demo-a"}}, &log)
	must(t, err)
	if text := log.String(); !strings.Contains(text, "Installed npm:@demo/c@3.0.0, npm:demo-a@1.0.0, npm:demo-b@2.1.0") || strings.Contains(text, "the-token") {
		t.Errorf("the log says %s", text)
	}
	lock, err := r.Lock(env.Digest)
	must(t, err)
	var of struct {
		LockfileVersion int
		Packages        map[string]struct{ Version, Resolved, Integrity string }
	}
	must(t, json.Unmarshal(lock.NPM, &of))
	if b := of.Packages["node_modules/demo-b"]; of.LockfileVersion != 3 || b.Version != "2.1.0" || b.Resolved != up.URL+"/demo-b/-/demo-b-2.1.0.tgz" || !strings.HasPrefix(b.Integrity, "sha512-") || lock.Python != "" {
		t.Errorf("the lock is %s", lock.NPM)
	}
	res := r.node(t, env, `
const fs = require('fs'), { execFileSync } = require('child_process')
console.log(require('demo-a'), '|', require.resolve('demo-b'))
import('@demo/c').then((c) => {
  console.log(c.default)
  fs.writeFileSync('/app/x.mjs', "import c from '@demo/c'; import a from 'demo-a'; console.log(c, a)")
  console.log(execFileSync(process.execPath, ['/app/x.mjs']).toString().trim())
  console.log(execFileSync('demo-tool').toString().trim())
  for (const path of ['/packages/x', '/packages/node_modules/demo-b/b.js']) {
    try { fs.writeFileSync(path, ''); console.log('written') } catch (e) { console.log(e.code) }
  }
  console.log(fs.readdirSync('/packages').join(), fs.existsSync('/packages/lib'))
  require('net').connect(80, 'packages.tako').on('error', () => console.log('not reached')).on('connect', () => console.log('reached'))
})`)
	want := "a1 b21 c3 | /packages/node_modules/demo-b/b.js\nc3 as a module\nc3 as a module a1 b21 c3\na tool with b21\n" +
		"EROFS\nEACCES\nbin,node_modules false\nnot reached\n"
	if got := string(res.Stdout.Kept); got != want {
		t.Errorf("it printed %q, not %q: %s", got, want, show(res))
	}
	asked := len(up.Asked())
	if other, err := r.Environment(t.Context(), Wanted{Requirements: []string{"npm:demo-a", "npm:demo-a"}}, nil); err != nil || other.Digest != env.Digest || len(up.Asked()) != asked {
		t.Errorf("again: %v, %v, %d more requests", other.Digest, err, len(up.Asked())-asked)
	}
	same, err := r.builder.Python(t.Context(), build.Request{Base: r.images.current().Environment, Requirements: []string{"npm:demo-a"}, Anew: true})
	if err != nil || same.Digest != env.Digest {
		t.Errorf("the same packages, installed anew, are another layer: %v", err)
	}
}

// What a package would run when it is installed is not run, and what it has
// outside of its directory is not there.
func TestNPMHostile(t *testing.T) {
	up := stock(t)
	r := newNPM(t, func(c *config.Config) { c.NPMRegistryURL = config.Secret(up.URL) })
	env, err := r.Environment(t.Context(), Wanted{Requirements: []string{"npm:scripted", "npm:climber"}}, nil)
	must(t, err)
	res := r.node(t, env, `console.log(require('scripted').join(), require('fs').readdirSync('/packages', { recursive: true }).sort().join())`)
	want := "binding.gyp,index.js,package.json node_modules,node_modules/climber,node_modules/climber/index.js,node_modules/climber/package.json," +
		"node_modules/scripted,node_modules/scripted/binding.gyp,node_modules/scripted/index.js,node_modules/scripted/package.json\n"
	if got := string(res.Stdout.Kept); got != want {
		t.Errorf("it printed %q, not %q: %s", got, want, show(res))
	}
}

// A package that says itself what it needs gets that out of the registry that is
// configured, whatever it names.
func TestNPMShrinkwrap(t *testing.T) {
	up := stock(t)
	r := newNPM(t, func(c *config.Config) { c.NPMRegistryURL = config.Secret(up.URL) })
	env, err := r.Environment(t.Context(), Wanted{Requirements: []string{"npm:shrunk"}}, nil)
	must(t, err)
	if res := r.node(t, env, `console.log(require('shrunk'))`); string(res.Stdout.Kept) != "b1\n" {
		t.Errorf("it is not the version that it names: %s", show(res))
	}
}

// What cannot be installed says why, and leaves nothing.
func TestNPMThatCannotBe(t *testing.T) {
	up, closed, gone := stock(t), stock(t), takotest.NewNPMRegistry(t)
	gone.Close()
	closed.Authorization = "Bearer x"
	of := func(url string) *rig {
		return newNPM(t, func(c *config.Config) { c.NPMRegistryURL = config.Secret(url) })
	}
	r, down, locked := of(up.URL), of(gone.URL), of(closed.URL)
	offline := newNPM(t, func(c *config.Config) { c.NPMRegistryURL, c.PackageOffline = config.Secret(up.URL), true })
	for name, tc := range map[string]struct {
		rig  *rig
		asks []string
		kind job.Kind
		want string
	}{
		"a package that is not there": {r, []string{"npm:nothere"}, job.KindDependency, "'nothere@*' "},
		"a version that is not there": {r, []string{"npm:demo-b@9"}, job.KindDependency, "No matching version found for demo-b@9"},
		"a tag that is not there":     {r, []string{"npm:demo-b@next"}, job.KindDependency, "demo-b@next"},
		"two versions":                {r, []string{"npm:demo-b@1", "npm:demo-b@2"}, job.KindDependency, "No matching version found for demo-b@1 2"},
		"a conflict":                  {r, []string{"npm:conflict", "npm:demo-b@2"}, job.KindDependency, "Could not resolve dependency"},
		"a wrong checksum":            {r, []string{"npm:wrong"}, job.KindDependency, "integrity checksum failed"},
		"a file on another host":      {r, []string{"npm:away"}, job.KindDependency, "127.0.0.1 may not be dialled"},
		"a file that is not there":    {r, []string{"npm:gone"}, job.KindDependency, "could not be found"},
		"a dependency from git":       {r, []string{"npm:git"}, job.KindDependency, "git"},
		"a page that is a bomb":       {r, []string{"npm:bomb"}, job.KindDependency, "reading a page"},
		"a registry that is down":     {down, []string{"npm:demo-a"}, job.KindDependency, "does not answer"},
		"a registry that is locked":   {locked, []string{"npm:demo-a"}, job.KindDependency, "does it need a token"},
		"no registry":                 {offline, []string{"npm:demo-a"}, job.KindDependency, "'demo-a@*' "},
		"a URL":                       {r, []string{"npm:demo-a@http://evil/x.tgz"}, job.KindInvalid, "is not an npm package"},
		"an alias":                    {r, []string{"npm:demo-a@npm:demo-b"}, job.KindInvalid, "is not an npm package"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			_, err := tc.rig.Environment(t.Context(), Wanted{Requirements: tc.asks}, &log)
			if job.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\n%s", err, log.String())
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(r.cfg.DataDir, "cache", "packages", "*"))
	must(t, err)
	for _, f := range left {
		if !strings.HasSuffix(f, ".lock") {
			t.Errorf("%s is left", f)
		}
	}
	for _, asked := range up.Asked() {
		if strings.Contains(asked, "git.example") {
			t.Errorf("the registry was asked for %s", asked)
		}
	}
}

// A directory of packages needs no registry; its npm packages may stand beside
// Python's in one layer.
func TestNPMFromDirectory(t *testing.T) {
	dir := t.TempDir()
	takotest.Wheel(t, dir, "demo-p", "1.0", map[string]string{"demo_p.py": "VALUE = 'p10'\n", "demo_p-1.0.data/scripts/demo-tool": "#!python\nprint('of Python')\n"})
	write := func(file string, manifest m, files map[string]string) {
		must(t, os.WriteFile(filepath.Join(dir, file), takotest.NPMPackage(t, manifest, files), 0o600))
	}
	write("demo-n-1.0.0.tgz", m{"name": "@demo/n", "version": "1.0.0", "dependencies": m{"o": "1"}, "bin": m{"demo-tool": "index.js", "other-tool": "index.js"}},
		map[string]string{"index.js": "#!/usr/bin/env node\nmodule.exports = 'n1 ' + require('o'); console.log('of Node')"})
	write("o.tgz", m{"name": "o", "version": "1.2.0", "main": "o.js"}, map[string]string{"o.js": "module.exports = 'o12'"})
	write("o-next.tgz", m{"name": "o", "version": "2.0.0"}, nil)
	r := newNPM(t, func(c *config.Config) { c.PackageWheelsDir, c.PackageOffline = dir, true })
	env, err := r.Environment(t.Context(), Wanted{Requirements: []string{"npm:@demo/n", "demo-p"}}, nil)
	must(t, err)
	lock, err := r.Lock(env.Digest)
	if err != nil || !strings.HasPrefix(lock.Python, "demo-p==1.0 --hash=sha256:") || strings.Contains(string(lock.NPM), "resolved") || !strings.Contains(string(lock.NPM), "sha512-") {
		t.Errorf("the lock is %s, %v", lock, err)
	}
	res := r.with(t, env, `
import demo_p, subprocess
def run(*args): return subprocess.run(args, capture_output=True, text=True).stdout.strip()
print(demo_p.VALUE, run("node", "-e", "console.log(require('/packages/node_modules/@demo/n'))"), run("demo-tool"), run("other-tool"))`)
	if got, want := string(res.Stdout.Kept), "p10 of Node\nn1 o12 of Python of Node\n"; got != want {
		t.Errorf("it printed %q, not %q: %s", got, want, show(res))
	}
}

// An environment says what it lacks.
func TestNPMNeeds(t *testing.T) {
	r := newNPM(t, func(*config.Config) {})
	base := r.images.current().Environment
	image := base
	image.Config = &environment.ImageConfig{UID: 1000, GID: 1000} // to which this machine's npm is not given
	plain := base
	plain.Languages = map[string]environment.Language{"python": base.Languages["python"]}
	for want, base := range map[string]environment.Environment{"has Node but no npm": image, "has no Node": plain} {
		_, err := r.builder.Python(t.Context(), build.Request{Base: base, Requirements: []string{"npm:a"}})
		if job.KindOf(err) != job.KindDependency || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}
