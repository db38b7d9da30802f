package pkgindex

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// remember gives a file the name under which it is asked for.
func (g *Gateway) remember(l linked) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.files = append(g.files, target{url: l.url, name: l.name, hash: l.hash, index: l.index})
	return strconv.Itoa(len(g.files))
}

// file answers a link of a project's page.
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
	g.send(w, r, t)
}

// send passes a file on.
func (g *Gateway) send(w http.ResponseWriter, r *http.Request, t target) {
	var err error
	if t.index == nil {
		err = g.fromDirectory(w, r, t)
	} else {
		err = g.fromIndex(w, r, t)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
	case err != nil:
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
	if g.Sums()[t.name] == "" { // whole, whatever part of it is asked for
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		g.handedOut(t.name, sum)
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
		if resp.StatusCode == http.StatusNotFound {
			err = fs.ErrNotExist
		}
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
	sum := sha256.New()
	switch n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(resp.Body, maxFile)); {
	case err == nil && (resp.ContentLength < 0 || n == resp.ContentLength):
		g.handedOut(t.name, sum)
	case r.Context().Err() == nil:
		g.fail(t.index, fmt.Errorf("%s broke off: %w", t.name, plain(cmp.Or(err, io.ErrUnexpectedEOF))))
	default: // the installer has seen enough of it, for now
		g.promised(t)
	}
	return nil
}

// handedOut remembers what a file was that an installer has got.
func (g *Gateway) handedOut(name string, sum hash.Hash) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sums[name] = hex.EncodeToString(sum.Sum(nil))
}

// promised is handedOut for a file that was not read to its end: it has to be what
// its page says, which the installer checks.
func (g *Gateway) promised(t target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sum, ok := strings.CutPrefix(t.hash, "sha256="); ok && g.sums[t.name] == "" {
		g.sums[t.name] = strings.ToLower(sum)
	}
}

// Sums are the SHA-256, in hex, of the files that were handed out, by name.
func (g *Gateway) Sums() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.sums)
}
