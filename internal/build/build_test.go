package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/pkgindex"
)

func TestRequirements(t *testing.T) {
	for _, good := range []string{"numpy", "a", "zope.interface", "ruamel_yaml", "uvicorn[standard]==0.30.1", "a[b,c]>=1,<2,!=1.5", "a~=1.0", "a===1.0+local", "torch==2.*"} {
		if err := CheckRequirements([]string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, good := range []string{"npm:lodash", "npm:@scope/name", "npm:@scope/name@^4.1", "npm:left-pad@1.3.0", "npm:a@next", "npm:a@>=1.2", "npm:JSONStream@~1.x", "npm:a@*", "npm:a@1.0.0-rc.1+b", "npm:a@v1"} {
		if err := CheckRequirements([]string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"npm:", "npm: a", "npm:a@", "npm:a b", "npm:-g", "npm:--registry=x", "npm:.a", "npm:_a", "npm:@a", "npm:@/a", "npm:@a/", "npm:a/b", "npm:@a/b/c", "npm:../a", "npm:/a",
		"npm:a@file:x", "npm:a@npm:b", "npm:a@http://x", "npm:a@git+ssh://x", "npm:a@github:x/y", "npm:a@x/y", "npm:a@^1 ^2", "npm:a@1||2", "npm:a@../x", "npm:a@-x", "npm:a@;x", "npm:a@$x", "npm:a\n", "npm:a@1\n",
		"npm:é", "npm:node_modules", "npm:a@1@2", "npm:" + strings.Repeat("a", 215), "NPM:a", "npm:npm:a", "npm:a#b", "npm:__proto__"} {
		if err := CheckRequirements([]string{bad}); job.KindOf(err) != job.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", " numpy", "numpy ", "-r x", "--index-url=x", "./x", "/x", "a@http://b", "a; python_version<'3'", "a b", "a#b", "a$b", "a`b`", "a\nb",
		"a\rb", "a\\b", "a&&b", "a||b", "git+https://x/y", "a==", "a[", "a[]", "é", "a>=1,", "_a", strings.Repeat("a", 257)} {
		if err := CheckRequirements([]string{bad}); job.KindOf(err) != job.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := CheckRequirements(slices.Repeat([]string{"a"}, 50)); err != nil {
		t.Error(err)
	}
	if got := normal([]string{"B>=1", "a_b", "A.b", "a-b[x]"}); !slices.Equal(got, []string{"a-b", "a-b[x]", "b>=1"}) {
		t.Errorf("normal: %q", got)
	}
	if got := normal([]string{"npm:A_b@1", "npm:a", "npm:a", "B"}); !slices.Equal(got, []string{"b", "npm:A_b@1", "npm:a"}) {
		t.Errorf("normal: %q", got)
	}
	got, err := packageJSON([]string{"a", "b@^1", "a@2", "@s/c@next", "b@<1.5", "b"})
	if want := `{"dependencies":{"@s/c":"next","a":"2","b":"^1 <1.5"},"name":"@tako/requirements","private":true,"version":"0.0.0"}` + "\n"; err != nil || got != want {
		t.Errorf("package.json is %s, %v", got, err)
	}
}

func FuzzRequirement(f *testing.F) {
	f.Add("numpy>=1")
	f.Add("a[b]==1,<2")
	f.Add("npm:@a/b@^1.2")
	f.Fuzz(func(t *testing.T, r string) {
		if CheckRequirements([]string{r}) != nil {
			return
		}
		if rest, ok := strings.CutPrefix(r, npmPrefix); ok {
			name, version := cutNPM(rest)
			if strings.HasPrefix(name, "-") || strings.ContainsAny(r, " \t\r\n\\#;`$&|'\"()") || strings.ContainsAny(version, "/:@") || strings.Contains(name, "..") && strings.HasPrefix(path.Clean(name), ".") {
				t.Errorf("%q passes", r)
			}
			return
		}
		if strings.HasPrefix(r, "-") || strings.ContainsAny(r, " \t\r\n\\/@#;`$&|'\"()") || len(normal([]string{r})) != 1 {
			t.Errorf("%q passes", r)
		}
	})
}

// What an installation says is passed on up to a limit, and its errors are found
// at the end of it, whoever writes at the same time.
func TestTail(t *testing.T) {
	var log bytes.Buffer
	said := &tail{to: &log}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 400 {
				fmt.Fprintln(said, strings.Repeat("x", 1000))
			}
		})
	}
	all.Wait()
	fmt.Fprint(said, "ERROR: no such thing\n\xff\nERROR: at all\nWARNING: pip is old\n")
	if log.Len() > maxLog+100 || !strings.HasSuffix(log.String(), "the log is full: what came after this is not kept\n") {
		t.Errorf("the log has %d bytes and ends with %q", log.Len(), log.String()[log.Len()-60:])
	}
	if got := said.reason(); got != "no such thing; at all" {
		t.Errorf("the reason is %q", got)
	}
	npm := &tail{to: io.Discard}
	fmt.Fprint(npm, "npm error code E404\nnpm error 404 Not Found - GET http://x\nnpm error 404\nnpm error 404  'a@*' is not here.\nnpm ERR! notarget No version.\nnpm ERR! notarget No version.\nnpm error A complete log of this run\nnpm warn x\n")
	if got := npm.reason(); got != "'a@*' is not here.; No version." {
		t.Errorf("npm's reason is %q", got)
	}
	other := &tail{to: io.Discard}
	if got := other.reason(); got != "it did not say why" {
		t.Errorf("without a word: %q", got)
	}
	fmt.Fprint(other, "first\nlast\n\n")
	if got := other.reason(); got != "last" {
		t.Errorf("without an error: %q", got)
	}
}

func TestInstalled(t *testing.T) {
	var tree []environment.TreeEntry
	for _, path := range []string{"/b_c-1.0.dist-info", "/a-2.dist-info", "/x/deep-1.dist-info", "/none.dist-info", "/a", "/" + strings.Repeat("n", 201) + "-1.dist-info"} {
		tree = append(tree, environment.TreeEntry{Path: path})
	}
	if got := installed(tree); !slices.Equal(got, []string{"a==2", "b-c==1.0"}) {
		t.Errorf("%q", got)
	}
}

// The gateway's policy leads to it by its name, whatever else is asked for, and
// ends with it.
func TestGateway(t *testing.T) {
	g, err := newGateway(pkgindex.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: g.dial, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + pkgindex.Host + "/simple/none/")
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	if v, err := g.policy.Explain(t.Context(), "http://"+pkgindex.Host); err != nil || !v.Allowed {
		t.Errorf("its name: %+v, %v", v, err)
	}
	for _, other := range []string{"https://" + pkgindex.Host, "http://example.com", somewhere + ":80", "http://x." + pkgindex.Host} {
		if v, err := g.policy.Explain(t.Context(), other); err != nil || v.Allowed {
			t.Errorf("%s: %+v, %v", other, v, err)
		}
	}
	if err := g.end(); err != nil {
		t.Error(err)
	}
	if _, err := g.dial(context.Background(), "tcp", ""); err == nil {
		t.Error("it was dialled after its end")
	}
}

// A lock names the files that were installed by their checksums, whatever else
// was looked at.
func TestLockPython(t *testing.T) {
	sum := func(digit string) string { return strings.Repeat(digit, 64) }
	got := lockPython([]string{"a-b==1.0", "c==2", "none==1"}, map[string]string{
		"A_b-1.0-py3-none-any.whl": sum("1"), "a_b-1.0-cp311-cp311-linux_x86_64.whl": sum("2"), "a_b-0.9-py3-none-any.whl": sum("3"),
		"c-2.tar.gz": sum("4"), "c-2-extra-py3-none-any.whl": "no sum", "odd": sum("5"), ".whl": sum("6"),
	})
	want := "a-b==1.0 --hash=sha256:" + sum("1") + " --hash=sha256:" + sum("2") + "\nc==2 --hash=sha256:" + sum("4") + "\nnone==1\n"
	if got != want {
		t.Errorf("%s, not\n%s", got, want)
	}
}

// What npm says about itself names no address of ours.
func TestLockNPM(t *testing.T) {
	index, err := pkgindex.New(pkgindex.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	p := &product{}
	text := `{"name":"@tako/requirements","lockfileVersion":3,"packages":{"":{"dependencies":{"a":"*"}},"node_modules/a":{"version":"1.0.0","resolved":"http://packages.tako/npm/a/-/a.tgz","integrity":"sha512-x"},
		"node_modules/a/node_modules/@s/b":{"version":"2.0.0","resolved":"git+ssh://x"},"node_modules/other-os":{"version":"1.0.0","optional":true}}}`
	there := map[string]bool{"/node_modules/a": true, "/node_modules/a/node_modules/@s/b": true}
	if err := p.lockNPM([]byte(text), there, index); err != nil {
		t.Fatal(err)
	}
	if want := []string{"npm:@s/b@2.0.0", "npm:a@1.0.0"}; !slices.Equal(p.installed, want) || strings.Contains(string(p.lock.NPM), "resolved") || !strings.Contains(string(p.lock.NPM), "sha512-x") {
		t.Errorf("%q, %s", p.installed, p.lock.NPM)
	}
	for _, bad := range []string{"", "[]", "{}", `{"packages":[]}`, `{"packages":{"a":1}}`} {
		if err := (&product{}).lockNPM([]byte(bad), there, index); err == nil {
			t.Errorf("%q is a lock file", bad)
		}
	}
}

// What npm left comes beside Python's packages, and takes nothing of them.
func TestBeside(t *testing.T) {
	npm := []environment.TreeEntry{
		{Path: nodeModules, Type: fs.ModeDir}, {Path: nodeModules + "/.bin", Type: fs.ModeDir}, {Path: nodeModules + "/.bin/a", Type: fs.ModeSymlink},
		{Path: nodeModules + "/.bin/b", Type: fs.ModeSymlink}, {Path: nodeModules + "/x/node_modules/.bin/c", Type: fs.ModeSymlink},
	}
	for name, tc := range map[string]struct {
		python []environment.TreeEntry
		links  string // below /bin
		kind   job.Kind
	}{
		"nothing":              {nil, "a ../node_modules/.bin/a b ../node_modules/.bin/b", ""},
		"a program":            {[]environment.TreeEntry{{Path: "/bin", Type: fs.ModeDir}, {Path: "/bin/a"}}, "b ../node_modules/.bin/b", ""},
		"a file called bin":    {[]environment.TreeEntry{{Path: "/bin"}}, "", ""},
		"a node_modules of it": {[]environment.TreeEntry{{Path: nodeModules, Type: fs.ModeDir}}, "", job.KindDependency},
	} {
		p := &product{entries: tc.python}
		if err := p.beside(npm); tc.kind != "" && job.KindOf(err) != tc.kind || tc.kind == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var links []string
		for _, e := range p.entries {
			if base, ok := strings.CutPrefix(e.Path, "/bin/"); ok && e.Type == fs.ModeSymlink {
				links = append(links, base, e.Target)
			}
		}
		if got := strings.Join(links, " "); got != tc.links {
			t.Errorf("%s: the links are %q", name, got)
		}
	}
}
