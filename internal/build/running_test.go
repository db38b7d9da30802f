package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/pkgindex"
	"github.com/takovm/tako/internal/runner"
)

// held is a runner whose installations say that they have begun, and end when
// they are told to.
type held struct {
	began, finish chan string // what is installed
}

func (h *held) Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error) {
	r, err := a.Files[0].Open()
	if err != nil {
		return nil, err
	}
	list, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(string(list))
	fmt.Fprintln(sinks.Stderr, "first")
	h.began <- name
	select {
	case <-h.finish:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	fmt.Fprintln(sinks.Stderr, "second")
	w := tar.NewWriter(sinks.Stdout)
	err = errors.Join(w.WriteHeader(&tar.Header{Name: name + "-1.dist-info/", Typeflag: tar.TypeDir, Mode: 0o755}), w.Close())
	return &runner.Result{Status: job.Succeeded}, err
}

func newHeld(t *testing.T) (*Builder, *held) {
	t.Helper()
	h := &held{began: make(chan string, 10), finish: make(chan string)}
	b, err := New(Options{Dir: t.TempDir(), Environments: t.TempDir(), Runner: h, Limits: job.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, h
}

func base() environment.Environment {
	return environment.Environment{Name: "python", Digest: strings.Repeat("a", 64), Languages: map[string]environment.Language{"python": {}}}
}

// answer is what a caller got.
type answer struct {
	env environment.Environment
	err error
	log string
}

// ask asks for packages beside the test.
func ask(ctx context.Context, b *Builder, list ...string) chan answer {
	got := make(chan answer, 1)
	go func() {
		var log strings.Builder
		env, err := b.Python(ctx, Request{Base: base(), Requirements: list, Log: &log})
		got <- answer{env, err, log.String()}
	}()
	return got
}

// Who asks for what takes long may leave: it is installed all the same, and who
// asks next has it, with all that was said.
func TestGoesOn(t *testing.T) {
	b, h := newHeld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	first := ask(ctx, b, "a")
	<-h.began
	cancel(late)
	if got := <-first; !errors.Is(got.err, late) || !strings.Contains(got.log, "first") {
		t.Errorf("who left got %+v", got)
	}
	second := ask(t.Context(), b, "A")
	h.finish <- ""
	got := <-second
	if got.err != nil || got.env.Packages == nil || !strings.Contains(got.log, "Installed a==1") && got.log != "" {
		t.Errorf("who came next got %+v", got)
	}
	third := <-ask(t.Context(), b, "a")
	if third.err != nil || third.env.Digest != got.env.Digest || third.log != "" {
		t.Errorf("who came last got %+v", third)
	}
	if len(h.began) > 0 {
		t.Error("it was installed again")
	}
}

// Two that ask for the same wait for one installation, and both read its log from
// the beginning.
func TestTogether(t *testing.T) {
	b, h := newHeld(t)
	first := ask(t.Context(), b, "a")
	<-h.began
	var log strings.Builder
	in, err := b.join(t.Context(), Request{}, b.key(base(), []string{"a"}))
	if err != nil {
		t.Fatal(err)
	}
	in.log.follow(&log)
	h.finish <- ""
	<-in.done
	one := <-first
	if want := "Installing a in python .\nfirst\nsecond\nInstalled a==1: layer "; one.err != nil || !strings.HasPrefix(one.log, want) || log.String() != one.log {
		t.Errorf("they read\n%s%s%v", one.log, log.String(), one.err)
	}
	b.leave(in)
}

// What has not begun is given up with the last that waits for it.
func TestGivenUp(t *testing.T) {
	b, h := newHeld(t)
	first := ask(t.Context(), b, "a")
	<-h.began
	ctx, cancel := context.WithCancel(t.Context())
	second := ask(ctx, b, "b")
	cancel()
	if got := <-second; !errors.Is(got.err, context.Canceled) {
		t.Errorf("who left got %+v", got)
	}
	h.finish <- ""
	if got := <-first; got.err != nil {
		t.Error(got.err)
	}
	b.running.Wait()
	if len(h.began) > 0 || len(b.joined) > 0 {
		t.Errorf("%s was installed, %d are left", <-h.began, len(b.joined))
	}
}

// Who wants them anew does not get what another one asked for before.
func TestAnew(t *testing.T) {
	b, h := newHeld(t)
	first := ask(t.Context(), b, "a")
	<-h.began
	anew := make(chan error, 1)
	go func() {
		_, err := b.Python(t.Context(), Request{Base: base(), Requirements: []string{"a"}, Anew: true})
		anew <- err
	}()
	h.finish <- ""
	<-h.began
	h.finish <- ""
	if err := errors.Join((<-first).err, <-anew); err != nil {
		t.Error(err)
	}
}

// Installations end with the builder, and nothing is left of them.
func TestClose(t *testing.T) {
	b, h := newHeld(t)
	ctx := t.Context()
	gone, cancel := context.WithCancel(ctx)
	left := ask(gone, b, "a")
	<-h.began
	cancel()
	<-left
	first := ask(ctx, b, "a")
	waits := ask(ctx, b, "b")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []chan answer{first, waits, ask(ctx, b, "c")} {
		if got := <-c; !errors.Is(got.err, errClosed) {
			t.Errorf("%+v", got)
		}
	}
	files, err := filepath.Glob(filepath.Join(b.o.Dir, "*"))
	if err != nil || slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, ".lock") }) {
		t.Errorf("left: %q, %v", files, err)
	}
}

// What is in the directory of packages is part of what a list comes to.
func TestKeyOfDirectory(t *testing.T) {
	dir := t.TempDir()
	b := &Builder{o: Options{Index: pkgindex.Options{Wheels: dir}}}
	keys := map[string]bool{}
	look := func(what string, isNew bool) {
		t.Helper()
		key := b.key(base(), []string{"a"})
		if keys[key] == isNew {
			t.Errorf("%s: the key is new: %v", what, !isNew)
		}
		keys[key] = true
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look("empty", true)
	write("a.txt", "x")
	look("with another file", false)
	write("a-1-py3-none-any.whl", "x")
	look("with a wheel", true)
	look("the same", false)
	write("a-1-py3-none-any.whl", "xy")
	look("with another one of its name", true)
	write("p.tgz", "x")
	look("with an npm package", true)
}
