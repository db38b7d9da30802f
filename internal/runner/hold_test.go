package runner

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
)

func TestPythonReadsOnce(t *testing.T) {
	for code, want := range map[string]bool{
		"print(1)":                          true,
		"":                                  true,
		"# -*- coding: utf-8 -*-\nprint(1)": false,
		"#!/usr/bin/python3\n# vim: coding=latin-1": false,
		"#!/usr/bin/python3\r\n# coding: latin-1":   false,
		"#!/usr/bin/python3\r# coding: latin-1":     false,
		"\f # coding: latin-1\n":                    false,
		"\n\n# coding: latin-1\n":                   true, // the third line names nothing
		"\r\n\r\n# coding: latin-1\n":               true,
		"x = 1 # coding: latin-1":                   true, // not a comment line
		"# encoding and decoding\nprint(1)":         true,
		"\xef\xbb\xbfprint(1)":                      true,
		"print('\xe9')":                             false,
		"print('\x00')":                             false,
		strings.Repeat("x = 1\n", 10_000):           true,
	} {
		if got := pythonReadsOnce([]byte(code)); got != want {
			t.Errorf("%.60q: %v", code, got)
		}
	}
}

// Whatever happened to a held interpreter, the caller's code has not run.
func TestReleased(t *testing.T) {
	err := released(fmt.Errorf("guest release: %w", &guest.ExecError{Step: "hold", Errno: syscall.ECHILD}))
	var exec *guest.ExecError
	if job.KindOf(err) != job.KindEngine || errors.As(err, &exec) {
		t.Errorf("got %v", err)
	}
	if err := released(guest.ErrLost); !errors.Is(err, guest.ErrLost) {
		t.Errorf("got %v", err)
	}
	if err := released(nil); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestHoldable(t *testing.T) {
	plain := Attempt{Language: "python", Code: []byte("print(1)")}
	if !plain.Holdable() {
		t.Error("a plain script is not")
	}
	fixed := plain
	fixed.Env, fixed.FixedEnv = map[string]string{"A": "of its type"}, true
	if !fixed.Holdable() {
		t.Error("one with the variables of its type is not")
	}
	for name, change := range map[string]func(*Attempt){
		"command":     func(a *Attempt) { a.Command = []string{"ls"} },
		"arguments":   func(a *Attempt) { a.Args = []string{"x"} },
		"environment": func(a *Attempt) { a.Env = map[string]string{"A": "b"} },
		"stdin":       func(a *Attempt) { a.Stdin = strings.NewReader("") },
		"language":    func(a *Attempt) { a.Language = "bash" },
		"encoding":    func(a *Attempt) { a.Code = []byte("# coding: latin-1\n") },
	} {
		a := plain
		change(&a)
		if a.Holdable() {
			t.Errorf("with %s it is", name)
		}
	}
}

func TestPreloadScript(t *testing.T) {
	if got := preloadScript(nil); got != "" {
		t.Errorf("of nothing: %s", got)
	}
	got := preloadScript([]string{"numpy", "os.path"})
	if !strings.Contains(got, "\npreload([\"numpy\", \"os.path\"])\n") || strings.Contains(got, "...") {
		t.Errorf("it ends in %s", got[len(got)-100:])
	}
	if !strings.Contains(got, `os.unlink("`+environment.PreloadFile+`")`) {
		t.Error("it does not remove its own file")
	}
	a := Attempt{Preload: []string{"numpy", "a b"}}
	if err := a.checkPreload(); job.KindOf(err) != job.KindInvalid {
		t.Errorf("a name that is none: %v", err)
	}
}
