package pkgindex

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// upstream is an index of a test: pages by project, files by path.
type upstream struct {
	*httptest.Server
	pages map[string]string // project -> body; JSON where it begins with {
	files map[string]string // path -> content
	user  string            // wanted
	seen  []string          // "path authorization"
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{pages: map[string]string{}, files: map[string]string{}}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	u.seen = append(u.seen, fmt.Sprintf("%s %s:%s", r.URL.Path, user, password))
	if u.user != "" && user != u.user {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name, isPage := strings.CutPrefix(r.URL.Path, "/simple/")
	page, ok := u.pages[strings.TrimSuffix(name, "/")]
	switch content, there := u.files[r.URL.Path]; {
	case there && strings.HasPrefix(content, "->"):
		http.Redirect(w, r, content[2:], http.StatusFound)
	case there:
		io.WriteString(w, content)
	case isPage && ok && page == "broken":
		w.WriteHeader(http.StatusInternalServerError)
	case isPage && ok && strings.HasPrefix(page, "{"):
		w.Header().Set("Content-Type", jsonType)
		io.WriteString(w, page)
	case isPage && ok:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	default:
		http.NotFound(w, r)
	}
}

func (u *upstream) index(t *testing.T, user string) *url.URL {
	t.Helper()
	x, err := url.Parse(strings.Replace(u.URL, "://", "://"+user, 1) + "/simple/")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// client is an installer.
type client struct {
	t *testing.T
	g *Gateway
}

func newClient(t *testing.T, o Options) client {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return client{t, g}
}

func (c client) get(path string) (int, string) {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.g.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

// links are the names and addresses on a project's page.
func (c client) links(project string) (names []string, hrefs map[string]string) {
	c.t.Helper()
	code, body := c.get("/simple/" + project + "/")
	if code != http.StatusOK {
		return nil, nil
	}
	hrefs = map[string]string{}
	for _, m := range regexp.MustCompile(`<a href="([^"]*)"([^>]*)>([^<]*)</a>`).FindAllStringSubmatch(body, -1) {
		names = append(names, m[3]+m[2])
		hrefs[m[3]], _, _ = strings.Cut(m[1], "#")
	}
	return names, hrefs
}

// A project is the first source's that has it, and what is no wheel is left out.
func TestPages(t *testing.T) {
	a, b, dir := newUpstream(t), newUpstream(t), t.TempDir()
	a.pages["some-project"] = `<html><a href="../../files/some_project-1.0-py3-none-any.whl#sha256=aa" data-requires-python="&gt;=3.8">x</a>
		<a href="some_project-1.0.tar.gz">source</a> <a href="/files/some_project-1.1-py3-none-any.whl#md5=b" data-yanked="bad">y</a>
		<a href="http://[::bad">no</a> <a>none</a> <a href="/files/a%22b.whl">no</a></html>`
	b.pages["some-project"] = `{"files": [{"filename": "some_project-99.0-py3-none-any.whl", "url": "/b/99.0.whl"}]}`
	b.pages["mine"] = `{"files": [{"filename": "mine-99.0-py3-none-any.whl", "url": "/b/99.0.whl"}]}`
	b.pages["other"] = `{"name": {"files": [1]}, "files": [{"filename": "other-1.0-py3-none-any.whl", "url": "/b/1.0.whl", "hashes": {}},
		{"filename": "other-2.0-py3-none-any.whl", "url": "/b/2.0.whl", "hashes": {"sha256": "cc"}, "requires-python": null, "yanked": "old"},
		{"filename": "../x.whl", "url": "/b/x.whl"}, {"filename": "other-2.0.zip", "url": "/b/2.0.zip"}], "more": 1}`
	a.files["/files/some_project-1.0-py3-none-any.whl"] = "from a"
	b.files["/b/2.0.whl"] = "from b"
	for _, name := range []string{"Mine-0.1-py3-none-any.whl", "stranger-1-py3-none-any.whl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("local"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "mine-9-py3-none-any.whl")); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Options{Indexes: []*url.URL{a.index(t, ""), b.index(t, "")}, Wheels: dir})
	all := map[string]string{}
	for project, want := range map[string][]string{
		"MINE":         {"Mine-0.1-py3-none-any.whl"},
		"Some_project": {`some_project-1.0-py3-none-any.whl data-requires-python="&gt;=3.8"`, `some_project-1.1-py3-none-any.whl data-yanked="bad"`},
		"other":        {"other-1.0-py3-none-any.whl", `other-2.0-py3-none-any.whl data-yanked="old"`},
	} {
		names, hrefs := c.links(project)
		if fmt.Sprint(names) != fmt.Sprint(want) {
			t.Errorf("the page of %s has\n%q, not\n%q", project, names, want)
		}
		maps.Copy(all, hrefs)
	}
	for name, content := range map[string]string{"Mine-0.1-py3-none-any.whl": "local", "some_project-1.0-py3-none-any.whl": "from a", "other-2.0-py3-none-any.whl": "from b"} {
		if code, body := c.get(all[name]); code != http.StatusOK || body != content {
			t.Errorf("%s: %d, %q", name, code, body)
		}
	}
	for _, path := range []string{"/", "/simple/", "/simple/none/", "/simple/a b/", "/simple/../x/", "/file/1/other", "/file/99/x.whl", "/file/0/", "/file/-1/x", "/file/1", "/file/", "/x", "/simple/a/b/"} {
		if code, _ := c.get(strings.ReplaceAll(path, " ", "%20")); code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, code)
		}
	}
	if err := c.g.Fault(); err != nil {
		t.Errorf("something was at fault: %v", err)
	}
	files, asked := len(c.g.files), len(a.seen)
	for range 100 {
		c.links("some-project")
	}
	if len(c.g.files) != files || len(a.seen) != asked {
		t.Errorf("asked again, there are %d files and %d requests", len(c.g.files), len(a.seen))
	}
	sources := newClient(t, Options{Indexes: []*url.URL{a.index(t, "")}, Sources: true})
	if names, _ := sources.links("some-project"); len(names) != 3 {
		t.Errorf("with sources, the page has %q", names)
	}
}

// An index that does not answer as it should is at fault; a project that it does
// not have is not.
func TestFaults(t *testing.T) {
	gone := newUpstream(t)
	gone.Close()
	broken, closed, text := newUpstream(t), newUpstream(t), newUpstream(t)
	broken.pages["p"], closed.user = "broken", "me"
	text.files["/simple/p/"] = "no page"
	for want, u := range map[string]*upstream{"connection refused": gone, "500": broken, "a user and a password": closed, "text/plain": text} {
		stranger := newUpstream(t)
		stranger.pages["p"] = `<a href="p-99-py3-none-any.whl">p</a>`
		c := newClient(t, Options{Indexes: []*url.URL{u.index(t, "secret-token:hidden@"), stranger.index(t, "")}})
		if names, _ := c.links("p"); names != nil {
			t.Errorf("%s: the page has %q", want, names)
		}
		err := c.g.Fault()
		if job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "secret-token") || len(stranger.seen) > 0 {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := New(Options{Wheels: filepath.Join(t.TempDir(), "none")}); job.KindOf(err) != job.KindConfig {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// A password goes to the index that it is of, and where a link leads nowhere
// else without being judged.
func TestCredentialsStay(t *testing.T) {
	index, other := newUpstream(t), newUpstream(t)
	index.user = "bob"
	index.pages["p"] = fmt.Sprintf(`<a href="/own-1-py3-none-any.whl">own</a><a href="/moved-1-py3-none-any.whl">m</a><a href="%s/away-1-py3-none-any.whl">away</a>
		<a href="file:///etc/passwd-1-py3-none-any.whl">f</a>`, other.URL)
	index.files["/own-1-py3-none-any.whl"] = "own"
	index.files["/moved-1-py3-none-any.whl"] = "->" + other.URL + "/away-1-py3-none-any.whl"
	other.files["/away-1-py3-none-any.whl"] = "away"
	c := newClient(t, Options{Indexes: []*url.URL{index.index(t, "bob:hidden@")}})
	_, hrefs := c.links("p")
	if len(hrefs) != 4 {
		t.Fatalf("the page has %v", hrefs)
	}
	for name, want := range map[string]int{"own": http.StatusOK, "moved": http.StatusBadGateway, "away": http.StatusBadGateway, "passwd": http.StatusBadGateway} {
		if code, body := c.get(hrefs[name+"-1-py3-none-any.whl"]); code != want || strings.Contains(body, "root:") {
			t.Errorf("%s: %d, %q", name, code, body)
		}
	}
	if len(other.seen) > 0 {
		t.Errorf("the other host was asked %q", other.seen)
	}
	for _, s := range index.seen {
		if !strings.HasSuffix(s, " bob:hidden") {
			t.Errorf("the index was asked %q", s)
		}
	}
}

func TestMethods(t *testing.T) {
	c := newClient(t, Options{})
	w := httptest.NewRecorder()
	c.g.ServeHTTP(w, httptest.NewRequest("POST", "/simple/p/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", w.Code)
	}
}

func FuzzPage(f *testing.F) {
	f.Add("text/html", `<base href="/x/"><a href="p-1.whl#sha256=a" data-yanked>p</a>`)
	f.Add(jsonType, `{"files": [{"filename": "p.whl", "url": "p", "hashes": {"sha256": "a"}, "yanked": true}]}`)
	base, _ := url.Parse("http://index.example/simple/p/")
	f.Fuzz(func(t *testing.T, kind, body string) {
		resp := &http.Response{Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
		links, err := parsePage(resp, base)
		for _, l := range links {
			if err == nil && (!validFile(l.name) || l.url == nil || strings.ContainsAny(l.name, `/"<>`)) {
				t.Errorf("%+v", l)
			}
		}
	})
}
