package pkgindex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

const (
	jsonType = "application/vnd.pypi.simple.v1+json"
	anything = "*/*"
	accept   = jsonType + ", application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)

// link is one file on a project's page.
type link struct {
	name     string
	url      *url.URL
	hash     string // "sha256=...", or empty
	requires string // Python versions
	yanked   bool
	why      string // it was yanked
}

// normal is a project's name as indexes compare them (PEP 503).
func normal(name string) string {
	return strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(name, "-"))
}

// validProject is what a project may be called (PEP 508).
func validProject(name string) bool {
	return len(name) <= 200 && regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`).MatchString(name)
}

// parsePage reads a page that was fetched from base.
func parsePage(resp *http.Response, base *url.URL) ([]link, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	body := io.LimitReader(resp.Body, maxPage+1)
	counted := &counter{r: body}
	var links []link
	var err error
	switch kind {
	case jsonType, "application/json":
		links, err = parseJSON(counted, base)
	case "application/vnd.pypi.simple.v1+html", "text/html":
		links, err = parseHTML(counted, base)
	default:
		return nil, fmt.Errorf("it answers %q where a page of files was asked for", kind)
	}
	if counted.n > maxPage {
		return nil, fmt.Errorf("a page is larger than %d MB", maxPage>>20)
	}
	if len(links) > maxLinks {
		return nil, fmt.Errorf("a page has more than %d files", maxLinks)
	}
	return links, err
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func parseJSON(r io.Reader, base *url.URL) ([]link, error) {
	d := json.NewDecoder(r)
	if err := enter(d, "files"); err != nil {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	var links []link
	for n := 0; d.More(); n++ {
		var f struct {
			Filename string
			URL      string
			Hashes   map[string]string
			Requires *string `json:"requires-python"`
			Yanked   any     // false, true or why
		}
		if err := d.Decode(&f); err != nil {
			return nil, fmt.Errorf("reading a page: %w", err)
		}
		if n == maxLinks {
			return nil, fmt.Errorf("a page has more than %d files", maxLinks)
		}
		u, err := base.Parse(f.URL)
		if err != nil || !validFile(f.Filename) {
			continue
		}
		l := link{name: f.Filename, url: u}
		if sum := f.Hashes["sha256"]; sum != "" {
			l.hash = "sha256=" + sum
		}
		if f.Requires != nil {
			l.requires = *f.Requires
		}
		switch y := f.Yanked.(type) {
		case bool:
			l.yanked = y
		case string:
			l.yanked, l.why = true, y
		}
		links = append(links, l)
	}
	return links, nil
}

// enter reads up to the beginning of the list that an object has under a name.
func enter(d *json.Decoder, name string) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(err, errPage)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if key != name {
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return err
			}
			continue
		}
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return errors.Join(err, errPage)
		}
		return nil
	}
	return errPage
}

var errPage = errors.New("it has no list of files")

func parseHTML(r io.Reader, base *url.URL) ([]link, error) {
	var links []link
	for z := html.NewTokenizer(r); ; {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF { //nolint:errorlint // the tokenizer's own
				return nil, fmt.Errorf("reading a page: %w", err)
			}
			return links, nil
		case html.StartTagToken:
			t := z.Token()
			switch t.Data {
			case "base":
				if u, err := base.Parse(attribute(t, "href")); err == nil && attribute(t, "href") != "" {
					base = u
				}
			case "a":
				if l, ok := anchor(t, base); ok && len(links) <= maxLinks {
					links = append(links, l)
				}
			}
		}
	}
}

func anchor(t html.Token, base *url.URL) (link, bool) {
	u, err := base.Parse(attribute(t, "href"))
	if err != nil {
		return link{}, false
	}
	l := link{name: path.Base(u.Path), hash: u.Fragment, requires: attribute(t, "data-requires-python")}
	if !strings.HasPrefix(l.hash, "sha256=") {
		l.hash = ""
	}
	for _, a := range t.Attr {
		if a.Key == "data-yanked" {
			l.yanked, l.why = true, a.Val
		}
	}
	u.Fragment = ""
	l.url = u
	return l, validFile(l.name)
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// validFile keeps what cannot be a file of a package out of our links.
func validFile(name string) bool {
	return len(name) <= 255 && regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+!~-]*$`).MatchString(name)
}

// isWheel reports a file that is installed without running anything of it.
func isWheel(name string) bool { return strings.HasSuffix(name, ".whl") }

// isSource reports a source distribution.
func isSource(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".zip")
}
