package assembly

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/sandbox"
)

// newUser is a rig as tako run has it, snapshots and all.
func newUser(t *testing.T) (r *rig, snapshots string) {
	t.Helper()
	r = newRig(t)
	snapshots = filepath.Join(r.cfg.DataDir, "cache", "snapshots")
	r.Runner.Supplier.Snapshots = &sandbox.Snapshots{Dir: snapshots}
	return r, snapshots
}

// supplied runs code that prints "1" and says where its sandbox came from.
func (r *rig) supplied(t *testing.T) job.Supply {
	t.Helper()
	res, err := r.Run(t.Context(), r.python("print(1)"), runner.Sinks{Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != job.Succeeded || string(res.Stdout.Kept) != "1\n" {
		t.Fatalf("it ended as %s", show(res))
	}
	return res.Supply
}

func (r *rig) supplies(t *testing.T, want ...job.Supply) {
	t.Helper()
	for i, w := range want {
		if got := r.supplied(t); got != w {
			t.Errorf("run %d came %s, want %s", i+1, got, w)
		}
	}
}

// A shape that is asked for again gets a snapshot.
func TestSupply(t *testing.T) {
	r, _ := newUser(t)
	r.supplies(t, job.SupplyCold, job.SupplyRestore, job.SupplyRestore)
}

// What a disk has done to a snapshot is seen, and it is made again.
func TestCorruptSnapshot(t *testing.T) {
	r, dir := newUser(t)
	r.supplies(t, job.SupplyCold, job.SupplyRestore)
	pages, err := filepath.Glob(filepath.Join(dir, "*", "pages.img"))
	must(t, err)
	if len(pages) != 1 {
		t.Fatalf("snapshots: %v", pages)
	}
	data, err := os.ReadFile(pages[0])
	must(t, err)
	data[len(data)/2] ^= 0x10
	must(t, os.WriteFile(pages[0], data, 0o600))
	r.supplies(t, job.SupplyRestore)
	after, err := os.ReadFile(pages[0])
	must(t, err)
	if bytes.Equal(data, after) {
		t.Error("the corrupt one is still there")
	}
}

// One that the engine cannot restore, though it is what was written, is given
// up; the program never hears of it.
func TestSnapshotThatDoesNotRestore(t *testing.T) {
	r, dir := newUser(t)
	r.supplies(t, job.SupplyCold, job.SupplyRestore)
	states, err := filepath.Glob(filepath.Join(dir, "*", "checkpoint.img"))
	must(t, err)
	must(t, os.WriteFile(states[0], []byte(strings.Repeat("rubbish ", 1000)), 0o600))
	reseal(t, filepath.Dir(states[0]))
	r.supplies(t, job.SupplyCold, job.SupplyCold)
	notes, err := filepath.Glob(filepath.Join(dir, "*.failed"))
	must(t, err)
	if len(notes) != 1 {
		t.Errorf("notes: %v", notes)
	}
}

// reseal writes the manifest of what is in dir now.
func reseal(t *testing.T, dir string) {
	t.Helper()
	type file struct {
		Size int    `json:"size"`
		CRC  uint32 `json:"crc32c"`
	}
	files := map[string]file{}
	for _, name := range []string{"checkpoint.img", "pages.img", "pages_meta.img"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		files[name] = file{len(data), crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))}
	}
	manifest, err := json.Marshal(map[string]any{"made": time.Now(), "files": files})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o600))
}

// Many at once share one snapshot, and one of them makes it.
func TestSupplyAtOnce(t *testing.T) {
	r, _ := newUser(t)
	r.supplies(t, job.SupplyCold)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { r.supplied(t) })
	}
	wg.Wait()
	r.supplies(t, job.SupplyRestore)
}

// A directory that is in nobody's way when it cannot be written.
func TestSnapshotsCannotBeKept(t *testing.T) {
	r, dir := newUser(t)
	must(t, os.WriteFile(dir, nil, 0o600))
	r.supplies(t, job.SupplyCold, job.SupplyCold)
}

// An attempt that names its environment gets that one or nothing.
func TestPinnedEnvironment(t *testing.T) {
	r, _ := newUser(t)
	a := r.python("print(1)")
	a.Environment.Digest = r.Current().Digest
	if res, err := r.Run(t.Context(), a, runner.Sinks{}); err != nil || res.Status != job.Succeeded {
		t.Errorf("in the current one: %s, %v", show(res), err)
	}
	a.Environment.Digest = strings.Repeat("0", 64)
	if res, err := r.Run(t.Context(), a, runner.Sinks{}); job.KindOf(err) != job.KindInvalid || res != nil {
		t.Errorf("in one that is gone: %v, %v", res, err)
	}
}
