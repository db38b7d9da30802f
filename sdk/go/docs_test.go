package tako_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/GO.md has every exported function and method of both packages, in the
// words of its own comment, with a test whose file calls it.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/GO.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // what begins a row, and its test
	for _, m := range regexp.MustCompile("(?m)^(\\| `.*\\|) `(Test\\w+)` \\|$").FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = m[2]
	}
	tests := testFiles(t)
	for _, dir := range []string{".", "../.."} {
		for _, f := range functions(t, dir) {
			row := fmt.Sprintf("| `%s` | %s |", f.signature, f.synopsis)
			test, ok := rows[row]
			delete(rows, row)
			switch text := tests[test]; {
			case !ok:
				t.Errorf("docs/GO.md lacks a row:\n%s `Test...` |", row)
			case text == "":
				t.Errorf("docs/GO.md names %s for %s, and there is no such test", test, f.name)
			case !f.implicit && !strings.Contains(text, "."+f.name+"("):
				t.Errorf("docs/GO.md names %s for %s, whose file does not call it", test, f.name)
			}
		}
	}
	for row := range rows {
		t.Errorf("docs/GO.md has a row of nothing:\n%s", row)
	}
}

// function is an exported function or method.
type function struct {
	name, signature, synopsis string
	implicit                  bool // of an interface of the standard library, which calls it
}

func functions(t *testing.T, dir string) (list []function) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(set, files, "example.com/tako")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(p.Funcs)
	for _, typ := range p.Types {
		all = append(append(all, typ.Funcs...), typ.Methods...)
	}
	for _, f := range all {
		list = append(list, describe(t, p, set, f))
	}
	return list
}

func describe(t *testing.T, p *doc.Package, set *token.FileSet, f *doc.Func) function {
	t.Helper()
	var signature bytes.Buffer
	if err := printer.Fprint(&signature, set, f.Decl.Type); err != nil {
		t.Fatal(err)
	}
	receiver := ""
	if f.Recv != "" {
		receiver = strings.TrimPrefix(f.Recv, "*") + "."
	}
	synopsis := strings.TrimPrefix(p.Synopsis(f.Doc), f.Name+" ")
	for _, verb := range []string{"is ", "are "} {
		synopsis = strings.TrimPrefix(synopsis, verb)
	}
	if synopsis != "" {
		synopsis = strings.ToUpper(synopsis[:1]) + strings.TrimSuffix(synopsis[1:], ".")
	}
	return function{
		name:      f.Name,
		signature: receiver + f.Name + strings.ReplaceAll(strings.TrimPrefix(signature.String(), "func"), "ctx context.Context", "ctx"),
		synopsis:  synopsis,
		implicit:  slices.Contains([]string{"Read", "Close", "Error", "Is", "Unwrap"}, f.Name) && f.Recv != "",
	}
}

// testFiles are the texts of the files that tests of the packages are in, by
// the names of the tests.
func testFiles(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*_test.go", "../../*_test.go", "../../test/script/*_test.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t `).FindAllStringSubmatch(string(text), -1) {
				texts[m[1]] = string(text)
			}
		}
	}
	return texts
}
