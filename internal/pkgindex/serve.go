package pkgindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
)

// ServeHTTP answers an installer: pages of projects below /simple/, those of npm
// packages below /npm/, the files of both below /file/. Nothing else is there.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "an index is only read", http.StatusMethodNotAllowed)
		return
	}
	section, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch name := strings.TrimSuffix(rest, "/"); {
	case section == "simple" && validProject(name):
		g.project(w, r, normal(name))
	case section == "npm":
		g.npm(w, r, rest)
	case section == "file":
		g.file(w, r, rest)
	default:
		http.NotFound(w, r)
	}
}

// project answers a page in HTML, which every installer knows.
func (g *Gateway) project(w http.ResponseWriter, r *http.Request, name string) {
	g.once(w, r, page{"/simple/" + name, "text/html; charset=utf-8", g.reading, func(ctx context.Context) ([]byte, error) {
		return g.render(ctx, name)
	}})
}

// page is one that an installer asks for.
type page struct {
	path string
	kind string        // of its content
	turn chan struct{} // held while it is made
	make func(ctx context.Context) ([]byte, error)
}

// once answers a page. One that is nil is not there.
func (g *Gateway) once(w http.ResponseWriter, r *http.Request, p page) {
	content, err := g.content(r.Context(), p)
	switch {
	case errors.Is(err, errFull):
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	case err != nil:
		http.Error(w, "the index does not answer", http.StatusBadGateway)
	case content == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", p.kind)
		_, _ = w.Write(content) // who has gone does not need it
	}
}

var errFull = errors.New("this installation has looked at too many projects")

// content makes a page, once.
func (g *Gateway) content(ctx context.Context, p page) ([]byte, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	content, made := g.pages[p.path]
	full := len(g.pages) >= maxProjects || g.size > maxPages
	g.mu.Unlock()
	switch {
	case made:
		return content, nil
	case full:
		return nil, errFull
	}
	content, err := p.make(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pages[p.path], g.size = content, g.size+len(content)
	return content, nil
}

// render makes the page of a project; nil where no source has it.
func (g *Gateway) render(ctx context.Context, name string) ([]byte, error) {
	links, err := g.links(ctx, name)
	if err != nil || links == nil {
		return nil, err
	}
	var page bytes.Buffer
	page.WriteString("<!DOCTYPE html>\n<title>" + html.EscapeString(name) + "</title>\n")
	for _, l := range links {
		href := "/file/" + g.remember(l) + "/" + url.PathEscape(l.name)
		if l.hash != "" {
			href += "#" + l.hash
		}
		fmt.Fprintf(&page, `<a href="%s"`, html.EscapeString(href))
		if l.requires != "" {
			fmt.Fprintf(&page, ` data-requires-python="%s"`, html.EscapeString(l.requires))
		}
		if l.yanked {
			fmt.Fprintf(&page, ` data-yanked="%s"`, html.EscapeString(l.why))
		}
		fmt.Fprintf(&page, ">%s</a>\n", html.EscapeString(l.name))
	}
	return page.Bytes(), nil
}

// linked is a link and the index that it is from; nil is the directory.
type linked struct {
	link
	index *url.URL
}

// links are a project's files in the first source that has the project: what is
// known by that name elsewhere is another one's. Nil is no project; an index that
// does not answer is an error, lest a later one speaks for it.
func (g *Gateway) links(ctx context.Context, name string) ([]linked, error) {
	all := []linked{}
	for _, file := range g.local(name) {
		all = append(all, linked{link{name: file}, nil})
	}
	if len(all) > 0 {
		return all, nil
	}
	for _, index := range g.o.Indexes {
		links, there, err := g.page(ctx, index, name)
		if err != nil {
			if ctx.Err() == nil {
				g.fail(index, err)
			}
			return nil, err
		}
		if !there {
			continue
		}
		seen := map[string]bool{}
		for _, l := range links {
			if !seen[l.name] && (isWheel(l.name) || g.o.Sources && isSource(l.name)) {
				seen[l.name] = true
				all = append(all, linked{l, index})
			}
		}
		return all, nil
	}
	return nil, nil
}

// local lists the wheels of a project in the directory.
func (g *Gateway) local(name string) (files []string) {
	if g.wheels == nil {
		return nil
	}
	entries, err := fs.ReadDir(g.wheels.FS(), ".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		project, _, _ := strings.Cut(e.Name(), "-")
		if e.Type().IsRegular() && validFile(e.Name()) && isWheel(e.Name()) && normal(project) == name {
			files = append(files, e.Name())
		}
	}
	return files
}

// page fetches an index's page of a project.
func (g *Gateway) page(ctx context.Context, index *url.URL, name string) (links []link, there bool, err error) {
	u := *index
	u.Path, u.User = strings.TrimSuffix(index.Path, "/")+"/"+name+"/", nil
	there, err = g.read(ctx, &u, index, accept, func(resp *http.Response) (err error) {
		links, err = parsePage(resp, resp.Request.URL)
		return err
	})
	return links, there, err
}

// read fetches a page and has it parsed; there is false for one that is not. An
// index that is silent for too long, or never comes to an end, is given up.
func (g *Gateway) read(ctx context.Context, u, index *url.URL, accept string, parse func(*http.Response) error) (there bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errEndless)
	defer cancel()
	resp, err := g.request(ctx, u, index, accept)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if err = parse(resp); err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return true, err
	case http.StatusNotFound:
		return false, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		what := "a user and a password"
		if index == g.o.NPM {
			what = "a token, or a user and a password,"
		}
		return false, fmt.Errorf("it answers %s: does it need %s in its URL?", resp.Status, what)
	}
	return false, fmt.Errorf("it answers %s", resp.Status)
}
