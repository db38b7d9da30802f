package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/takovm/tako"

// source is one Go file of the module.
type source struct {
	file      string // relative to the module
	pkg       string // package path relative to the module; "tako" is the root
	test      bool
	generated bool
	lines     int
	ast       *ast.File
}

// own turns an import path into the form that rules use.
func own(importPath string) string {
	if importPath == module {
		return "tako"
	}
	if rest, ok := strings.CutPrefix(importPath, module+"/"); ok {
		return rest
	}
	return importPath
}

// isOwn reports a path, in the form that rules use, of this module.
func isOwn(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	switch first {
	case "tako", "cmd", "sdk", "bench", "test", "deploy", "examples":
		return true
	}
	// The standard library has an internal of its own, which nobody may import.
	return first == "internal"
}

// imports lists the packages a file imports, in the form that rules use.
func (s source) imports() []string {
	var list []string
	for _, spec := range s.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			list = append(list, own(p))
		}
	}
	return list
}

// tree parses every Go file of the module.
func tree(t *testing.T) []source {
	t.Helper()
	root := moduleRoot(t)
	var files []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() {
			if rel != "." && skipped(name, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		s, err := parse(name, filepath.ToSlash(rel))
		files = append(files, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files: the test looks in the wrong place")
	}
	return files
}

// skipped reports folders that are not part of the module.
func skipped(name, base string) bool {
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	switch base {
	case "testdata", "bin", "node_modules":
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod")) // a module of its own
	return err == nil
}

func parse(name, rel string) (source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return source{}, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), rel, text, parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	pkg := path.Dir(rel)
	if pkg == "." {
		pkg = "tako"
	}
	return source{
		file: rel, pkg: pkg, ast: file,
		test:      strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(file),
		lines:     strings.Count(string(text), "\n"),
	}, nil
}

// moduleRoot is the folder with go.mod above this package.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above this package")
		}
	}
}
