package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
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
}

func FuzzRequirement(f *testing.F) {
	f.Add("numpy>=1")
	f.Add("a[b]==1,<2")
	f.Fuzz(func(t *testing.T, r string) {
		if CheckRequirements([]string{r}) != nil {
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
