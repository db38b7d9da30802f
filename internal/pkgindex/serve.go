package pkgindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ServeHTTP answers an installer: pages of projects below /simple/, their files
// below /file/. Nothing else is there.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "an index is only read", http.StatusMethodNotAllowed)
		return
	}
	section, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch name := strings.TrimSuffix(rest, "/"); {
	case section == "simple" && validProject(name):
		g.project(w, r, normal(name))
	case section == "file":
		g.file(w, r, rest)
	default:
		http.NotFound(w, r)
	}
}

// project answers a page in HTML, which every installer knows.
func (g *Gateway) project(w http.ResponseWriter, r *http.Request, name string) {
	links, known := g.links(r.Context(), name)
	if !known {
		http.NotFound(w, r)
		return
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
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // who has gone does not need it
}

// linked is a link and the index that it is from; nil is the directory.
type linked struct {
	link
	index *url.URL
}

// links gathers a project's files from all sources. It is known if one of them
// has a page of it.
func (g *Gateway) links(ctx context.Context, name string) (all []linked, known bool) {
	seen := map[string]bool{}
	take := func(l link, index *url.URL) {
		if seen[l.name] || !isWheel(l.name) && !(g.o.Sources && isSource(l.name)) {
			return
		}
		seen[l.name] = true
		all = append(all, linked{l, index})
	}
	for _, file := range g.local(name) {
		known = true
		take(link{name: file}, nil)
	}
	for _, index := range g.o.Indexes {
		links, there, err := g.page(ctx, index, name)
		if err != nil {
			g.fail(index, err)
			continue
		}
		known = known || there
		for _, l := range links {
			take(l, index)
		}
	}
	if known {
		g.mu.Lock()
		if !slices.Contains(g.found, name) {
			g.found = append(g.found, name)
		}
		g.mu.Unlock()
	}
	return all, known
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
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	u := *index
	u.Path, u.User = strings.TrimSuffix(index.Path, "/")+"/"+name+"/", nil
	resp, err := g.request(ctx, &u, index, accept)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		links, err = parsePage(resp, resp.Request.URL)
		return links, true, err
	case http.StatusNotFound:
		return nil, false, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, false, fmt.Errorf("it answers %s: does it need a user and a password in its URL?", resp.Status)
	}
	return nil, false, fmt.Errorf("it answers %s", resp.Status)
}

// remember gives a file the name under which it is asked for.
func (g *Gateway) remember(l linked) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := strconv.Itoa(len(g.files) + 1)
	g.files[name] = target{url: l.url, name: l.name, index: l.index}
	return name
}

// file passes a file on.
func (g *Gateway) file(w http.ResponseWriter, r *http.Request, rest string) {
	key, name, _ := strings.Cut(rest, "/")
	g.mu.Lock()
	t, ok := g.files[key]
	g.mu.Unlock()
	if !ok || t.name != name {
		http.NotFound(w, r)
		return
	}
	var err error
	if t.index == nil {
		err = g.fromDirectory(w, r, t)
	} else {
		err = g.fromIndex(w, r, t)
	}
	if err != nil {
		http.Error(w, path.Base(t.name)+" cannot be fetched", http.StatusBadGateway)
	}
}

// fromDirectory sends a local wheel. A name that leads out of the directory is
// none of it (os.Root).
func (g *Gateway) fromDirectory(w http.ResponseWriter, r *http.Request, t target) error {
	f, err := g.wheels.Open(t.name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fs.ErrInvalid)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, t.name, info.ModTime(), f)
	return nil
}

// fromIndex fetches a file and sends it. The error is for an answer that has not
// begun; one that breaks off later shows as a length or a hash that is wrong.
func (g *Gateway) fromIndex(w http.ResponseWriter, r *http.Request, t target) error {
	resp, err := g.request(r.Context(), t.url, t.index, "*/*")
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s: it answers %s", t.name, resp.Status)
	}
	if err != nil {
		g.fail(t.index, err)
		return err
	}
	defer resp.Body.Close()
	if resp.ContentLength > maxFile {
		err := fmt.Errorf("%s has %d bytes, which is too large", t.name, resp.ContentLength)
		g.fail(t.index, err)
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if resp.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, io.LimitReader(resp.Body, maxFile)); err != nil && r.Context().Err() == nil {
		g.fail(t.index, fmt.Errorf("%s broke off: %w", t.name, plain(err)))
	}
	return nil
}
