package main

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/takovm/tako/internal/takotest"
)

const (
	// wheels is how many packages are installed, modules how many files are in each.
	wheels, modules = 20, 20
	// needed is how many of the others the first one requires.
	needed = 3
)

// makeWheels writes the packages into dir, which it makes, and answers their names.
func makeWheels(dir string) (names []string, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for i := range wheels {
		names = append(names, fmt.Sprintf("bench-%02d", i))
	}
	for i, name := range names {
		files, module := map[string]string{}, strings.ReplaceAll(name, "-", "_")
		for m := range modules {
			files[fmt.Sprintf("%s/m%02d.py", module, m)] = strings.Repeat(fmt.Sprintf("def f%d(x):\n    return x + %d\n\n\n", m, m), 40)
		}
		files[module+"/__init__.py"] = "from . import m00\n"
		var requires []string
		if i == 0 {
			requires = names[1 : 1+needed]
		}
		if _, err := takotest.WriteWheel(dir, name, "1.0", files, requires...); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// index serves a directory of wheels as a package index (PEP 503) on loopback.
// It counts what it is asked, which shows who installs and who does not.
type index struct {
	*httptest.Server
	dir   string
	asked atomic.Int64
}

func serveIndex(dir string) *index {
	x := &index{dir: dir}
	mux := http.NewServeMux()
	mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServer(http.Dir(dir))))
	mux.HandleFunc("GET /simple/{project}/", x.page)
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.asked.Add(1)
		mux.ServeHTTP(w, r)
	}))
	return x
}

// url is what pip and package_index_url call the index.
func (x *index) url() string { return x.URL + "/simple/" }

func (x *index) page(w http.ResponseWriter, r *http.Request) {
	found, err := filepath.Glob(filepath.Join(x.dir, strings.ReplaceAll(filepath.Base(r.PathValue("project")), "-", "_")+"-*.whl"))
	if err != nil || len(found) == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	for _, f := range found {
		name := html.EscapeString(filepath.Base(f))
		fmt.Fprintf(w, "<a href=\"/files/%s\">%s</a>\n", name, name)
	}
}
