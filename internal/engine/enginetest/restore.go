package enginetest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/guest"
)

// restored starts a clone, which ends with the test.
func (s *suite) restored(t *testing.T, e engine.Engine, snapshot engine.Snapshot) engine.Sandbox {
	t.Helper()
	return s.restoredAs(t, e, s.spec(), snapshot)
}

func (s *suite) restoredAs(t *testing.T, e engine.Engine, spec engine.Spec, snapshot engine.Snapshot) engine.Sandbox {
	t.Helper()
	clone, err := e.Restore(t.Context(), spec, snapshot)
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	t.Cleanup(func() {
		if err := clone.Destroy(); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return clone
}

func (s *suite) checkpointRestore(t *testing.T) {
	e, sb := s.start(t)
	dir := t.TempDir()
	snapshot, err := sb.Checkpoint(t.Context(), dir)
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	if exit := ended(t, sb); exit.Cause == engine.CauseEngine {
		t.Errorf("a checkpointed sandbox ended with %+v", exit)
	}
	for range 2 { // clones
		spec := s.spec()
		spec.Hostname = "clone"
		clone := s.restoredAs(t, e, spec, snapshot)
		if got := python(t, greet(t, clone), "import socket; print('again', socket.gethostname())"); got != "again clone\n" {
			t.Errorf("a restored sandbox answers %q", got)
		}
		if err := clone.Destroy(); err != nil {
			t.Errorf("destroy: %v", err)
		}
	}
}

func (s *suite) restoreCorrupt(t *testing.T) {
	e := s.New(t)
	if sb, err := e.Restore(t.Context(), s.spec(), engine.Snapshot{Dir: t.TempDir()}); err == nil {
		sb.Destroy()
		t.Error("restored from an empty directory")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "checkpoint.img"), []byte("not a snapshot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if sb, err := e.Restore(t.Context(), s.spec(), engine.Snapshot{Dir: dir}); err == nil {
		sb.Destroy()
		t.Error("restored from rubbish")
	}
}

// restoreHeld takes a snapshot of an interpreter that waits for its script,
// and gives each clone another one.
func (s *suite) restoreHeld(t *testing.T) {
	e, sb := s.start(t)
	const script = "/code/main.py"
	err := greet(t, sb).Hold(t.Context(), guest.Program{
		Path: "/usr/bin/python3", Args: []string{"python3", script}, Dir: "/app", UID: 1000, GID: 1000,
	}, script)
	if err != nil {
		t.Fatalf("hold: %v", err)
	}
	snapshot, err := sb.Checkpoint(t.Context(), t.TempDir())
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, word := range []string{"one", "two"} {
		session := greet(t, s.restored(t, e, snapshot))
		if err := session.Open(ctx); err != nil {
			t.Fatalf("open: %v", err)
		}
		code := "print(__name__, '" + word + "')"
		if err := session.Put(ctx, guest.File{Path: script, Mode: 0o444, Size: int64(len(code))}, strings.NewReader(code)); err != nil {
			t.Fatalf("put: %v", err)
		}
		var out bytes.Buffer
		if err := session.Release(ctx, guest.Streams{Stdout: &out, Stderr: &out}); err != nil {
			t.Fatalf("release: %v", err)
		}
		exit, err := session.Wait(ctx)
		if err != nil || exit.Status != 0 || out.String() != "__main__ "+word+"\n" {
			t.Errorf("the clone printed %q and ended with %#x, %v", out.String(), uint32(exit.Status), err)
		}
	}
}

// shape changes with everything that a snapshot holds, and with nothing else.
func (s *suite) shape(t *testing.T) {
	e := s.New(t)
	of := func(change func(*engine.Spec)) string {
		spec := s.spec()
		change(&spec)
		shape, err := e.Shape(spec)
		if err != nil {
			t.Fatal(err)
		}
		return shape
	}
	base := of(func(*engine.Spec) {})
	same := of(func(sp *engine.Spec) {
		sp.ID, sp.Hostname, sp.Memory, sp.Permissive = "other", "other", sp.Memory*2, !sp.Permissive
	})
	if base != same {
		t.Error("the shape changes with id, hostname, memory or permissive")
	}
	seen := map[string]string{base: "nothing"}
	for name, change := range map[string]func(*engine.Spec){
		"image":       func(sp *engine.Spec) { sp.Image += "x" },
		"init":        func(sp *engine.Spec) { sp.Init += "x" },
		"args":        func(sp *engine.Spec) { sp.Args = append(sp.Args, "x") },
		"env":         func(sp *engine.Spec) { sp.Env = append(sp.Env, "X=1") },
		"dir":         func(sp *engine.Spec) { sp.Dir = "/tmp" },
		"tmpfs size":  func(sp *engine.Spec) { sp.Tmpfs[0].Size++ },
		"tmpfs mode":  func(sp *engine.Spec) { sp.Tmpfs[0].Mode = 0o700 },
		"tmpfs owner": func(sp *engine.Spec) { sp.Tmpfs[0].UID = 7 },
		"files":       func(sp *engine.Spec) { sp.Files++ },
		"processors":  func(sp *engine.Spec) { sp.CPUs = 9 },
	} {
		shape := of(change)
		if other, ok := seen[shape]; ok {
			t.Errorf("another %s has the shape of another %s", name, other)
		}
		seen[shape] = name
	}
}
