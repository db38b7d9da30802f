package gvisor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/enginetest"
	"github.com/takovm/tako/internal/takotest"
)

func TestEngine(t *testing.T) {
	env, init := takotest.Images(t)
	binary := takotest.Binary(t)
	enginetest.Run(t, enginetest.Config{
		New:   func(t *testing.T) engine.Engine { return newEngine(t, binary) },
		Image: env.Image, Init: init,
		HostPID:    func(sb engine.Sandbox) int { return int(sb.(*sandbox).pid.Load()) },
		Permissive: os.Geteuid() != 0,
	})
}

// newEngine returns an engine of its own, closed with the test.
func newEngine(t *testing.T, binary string) *Engine {
	t.Helper()
	e, err := New(Options{
		Dir:        filepath.Join(t.TempDir(), "engine"),
		Group:      takotest.Group(t),
		Executable: binary,
		Cgroups:    takotest.Cgroups(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("closing the engine: %v", err)
		}
	})
	return e
}
