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

// project answers a page in HTML, which every installer knows. It is made once.
func (g *Gateway) project(w http.ResponseWriter, r *http.Request, name string) {
	g.reading.Lock()
	defer g.reading.Unlock()
	g.mu.Lock()
	page, made := g.pages[name]
	full := len(g.pages) >= maxProjects || g.size > maxPages
	g.mu.Unlock()
	if !made {
		var err error
		if full {
			http.Error(w, "this installation has looked at too many projects", http.StatusTooManyRequests)
			return
		}
		if page, err = g.render(r.Context(), name); err != nil {
			http.Error(w, "the index does not answer", http.StatusBadGateway)
			return
		}
		g.mu.Lock()
		g.pages[name], g.size = page, g.size+len(page)
		g.mu.Unlock()
	}
	if page == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // who has gone does not need it
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
	g.files = append(g.files, target{url: l.url, name: l.name, index: l.index})
	return strconv.Itoa(len(g.files))
}

// file passes a file on.
func (g *Gateway) file(w http.ResponseWriter, r *http.Request, rest string) {
	key, name, _ := strings.Cut(rest, "/")
	var t target
	n, err := strconv.Atoi(key)
	g.mu.Lock()
	if err == nil && n > 0 && n <= len(g.files) {
		t = g.files[n-1]
	}
	g.mu.Unlock()
	if t.name == "" || t.name != name {
		http.NotFound(w, r)
		return
	}
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
	resp, err := g.request(r.Context(), t.url, t.index, anything)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s: it answers %s", t.name, resp.Status)
	}
	if err != nil {
		if r.Context().Err() == nil && (resp == nil || resp.StatusCode >= 500) { // else it is this file's affair
			g.fail(t.index, err)
		}
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
