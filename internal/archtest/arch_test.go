package archtest

import (
	"go/ast"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	for _, s := range tree(t) {
		for _, to := range s.imports() {
			if r := decide(importRules(), s.pkg, to, s.test); r != nil && !r.allowed {
				t.Errorf("%s imports %s: %s", s.file, to, r.reason)
			}
		}
	}
}

func TestLayers(t *testing.T) {
	for _, s := range tree(t) {
		if s.test || outside(s.pkg) {
			continue
		}
		if row, _ := layerOf(s.pkg); row < 0 {
			t.Errorf("%s: %s has no layer: give it a row in layers()", s.file, s.pkg)
			continue
		}
		for _, to := range s.imports() {
			if !isOwn(to) {
				continue
			}
			if msg := layerProblem(s.pkg, to); msg != "" {
				t.Errorf("%s imports %s: %s", s.file, to, msg)
			}
		}
	}
}

func outside(pkg string) bool {
	for _, name := range unlayered() {
		if matches(name+"/...", pkg) {
			return true
		}
	}
	return false
}

func TestPackageNames(t *testing.T) {
	banned := map[string]bool{}
	for _, name := range strings.Fields("util utils common helper helpers base types manager misc shared lib") {
		banned[name] = true
	}
	for _, s := range tree(t) {
		if name := strings.TrimSuffix(s.ast.Name.Name, "_test"); banned[name] {
			t.Errorf("%s: package %s says nothing of what is in it", s.file, name)
		}
	}
}

// An init runs in every process that links the package, sandbox children
// included, in an order that nobody chose, and it hides who depends on whom.
// Package early exists for being one: it has to run before gVisor's packages.
func TestNoInit(t *testing.T) {
	for _, s := range tree(t) {
		if s.generated || s.ast.Name.Name == "early" {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !locksThread(f) {
				t.Errorf("%s has an init(): call it from main or pass what it registers", s.file)
			}
		}
	}
}

// locksThread reports an init that does nothing but keep main on the main
// thread, which works from an init only.
func locksThread(f *ast.FuncDecl) bool {
	if f.Body == nil || len(f.Body.List) != 1 {
		return false
	}
	stmt, ok := f.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := stmt.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "LockOSThread"
}

// A test that sleeps is slow on a fast machine and fails on a slow one.
func TestNoSleepInTests(t *testing.T) {
	for _, s := range tree(t) {
		if s.test && callsSleep(s.ast) {
			t.Errorf("%s calls time.Sleep: wait for the event, or use testing/synctest", s.file)
		}
	}
}

// callsSleep finds time.Sleep under whatever name time was imported.
func callsSleep(file *ast.File) bool {
	name := ""
	for _, spec := range file.Imports {
		if spec.Path.Value != `"time"` {
			continue
		}
		name = "time"
		if spec.Name != nil {
			name = spec.Name.Name
		}
	}
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Sleep" {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
			found = true
		}
		return true
	})
	return found
}

const (
	mostLines = 500 // beyond, a file holds more than one thing
	manyLines = 300 // beyond, somebody should look
)

func TestFileLength(t *testing.T) {
	for _, s := range tree(t) {
		switch {
		case s.generated:
		case s.lines > mostLines:
			t.Errorf("%s has %d lines; split it, %d is the most", s.file, s.lines, mostLines)
		case s.lines > manyLines:
			t.Logf("%s has %d lines", s.file, s.lines)
		}
	}
}
