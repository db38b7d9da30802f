package lifecycle_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/takovm/tako/internal/lifecycle"
)

// journal notes which releases were called, in order.
type journal []string

func (j *journal) release(name string, err error) func() error {
	return func() error {
		*j = append(*j, name)
		return err
	}
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*j, want) {
		t.Errorf("called %q, want %q", *j, want)
	}
}

func TestRunReleasesInReverseOnce(t *testing.T) {
	var undo lifecycle.Undo
	var j journal
	for _, name := range []string{"a", "b", "c"} {
		undo.Add(j.release(name, nil))
	}
	for range 2 {
		if err := undo.Run(); err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	j.expect(t, "c", "b", "a")
}

func TestRunJoinsErrors(t *testing.T) {
	var undo lifecycle.Undo
	var j journal
	first, second := errors.New("first"), errors.New("second")
	undo.Add(j.release("a", first))
	undo.Add(j.release("b", nil))
	undo.Add(j.release("c", second))
	err := undo.Run()
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("Run = %v, want both errors", err)
	}
	j.expect(t, "c", "b", "a")
	if err := undo.Run(); err != nil {
		t.Errorf("the second Run = %v", err)
	}
}

func TestReleaseHandsTheStackOn(t *testing.T) {
	var undo lifecycle.Undo
	var j journal
	failed := errors.New("failed")
	undo.Add(j.release("a", failed))
	undo.Add(j.release("b", nil))
	run := undo.Release()
	if err := undo.Run(); err != nil {
		t.Errorf("Run after Release = %v", err)
	}
	j.expect(t)

	undo.Add(j.release("later", nil)) // belongs to undo, not to what was handed on
	if err := run(); !errors.Is(err, failed) {
		t.Errorf("run = %v, want %v", err, failed)
	}
	if err := run(); err != nil {
		t.Errorf("the second run = %v", err)
	}
	j.expect(t, "b", "a")
	if err := undo.Run(); err != nil {
		t.Errorf("Run = %v", err)
	}
	j.expect(t, "b", "a", "later")
}

func TestEmptyStack(t *testing.T) {
	var undo lifecycle.Undo
	if err := undo.Run(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := undo.Release()(); err != nil {
		t.Errorf("Release()() = %v", err)
	}
}

func TestReleaseThatAddsIsFollowed(t *testing.T) {
	var undo lifecycle.Undo
	var j journal
	undo.Add(j.release("a", nil))
	undo.Add(func() error {
		undo.Add(j.release("added", nil))
		return nil
	})
	if err := undo.Run(); err != nil {
		t.Errorf("Run = %v", err)
	}
	j.expect(t, "added", "a")
}

func TestPanicLeavesTheRest(t *testing.T) {
	var undo lifecycle.Undo
	var j journal
	undo.Add(j.release("a", nil))
	undo.Add(func() error { panic("broken") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = undo.Run()
	}()
	if err := undo.Run(); err != nil {
		t.Errorf("Run = %v", err)
	}
	j.expect(t, "a")
}

func TestAddOfNilPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Add(nil) did not panic")
		}
	}()
	var undo lifecycle.Undo
	undo.Add(nil)
}
