package benchmark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/takotest"
)

// It measures what it says, and leaves nothing.
func TestRun(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var said []string
	r, err := Run(t.Context(), Options{Tako: takotest.Binary(t), Requests: 3, Clients: []int{2}, Say: func(s string) { said = append(said, s) }})
	if err != nil {
		t.Fatalf("%v after %v", err, said)
	}
	nothingLeft(t, tmp)
	if r.IdleMB <= 0 {
		t.Errorf("a sandbox that waits holds %v MB", r.IdleMB)
	}
	rows := map[string]Row{}
	for _, row := range r.Rows {
		rows[fmt.Sprintf("%s %d", row.Name, row.Clients)] = row
		if row.Missing == "" && (row.Failed > 0 || row.P50 <= 0 || row.P99 < row.P50 || row.Ratio <= 0) {
			t.Errorf("%+v", row)
		}
	}
	for name, supply := range map[string]string{"pool": Pool, "restored": Restore, "cold": Cold} {
		if row := rows[name+", paced 1"]; row.Supplies[supply].Jobs != 3 || row.Python <= 0 || row.ProgramMB <= 0 {
			t.Errorf("%+v", row)
		}
		if row := rows[name+", first output 1"]; row.Supplies[supply].Jobs != 2 {
			t.Errorf("%+v", row)
		}
		for kind, jobs := range map[string]int{"paced": 4, "first output": 2} {
			if row := rows[name+", "+kind+" 2"]; row.Jobs != jobs || row.PerSecond <= 0 || row.CPU <= 0 {
				t.Errorf("%+v", row)
			}
		}
		if row := rows[name+", closed loop 2"]; row.PerSecond <= 0 || row.CPU <= 0 || row.Jobs != 4 || row.Clients != 2 {
			t.Errorf("%+v", row)
		}
	}
}

// What a job's sandbox is charged for is more than what one that waits is.
func TestPeak(t *testing.T) {
	takotest.RequireRoot(t)
	t.Setenv("TMPDIR", t.TempDir())
	r, err := Run(t.Context(), Options{Tako: takotest.Binary(t), Requests: 1, Clients: []int{1}, Only: []string{Pool}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 3 || r.Rows[0].PeakMB < 0.95*r.IdleMB || r.Rows[0].PeakMB > 4*r.IdleMB {
		t.Errorf("%v MB wait, %+v", r.IdleMB, r.Rows)
	}
}

// Given up anywhere, it leaves nothing either.
func TestRunIsGivenUp(t *testing.T) {
	for _, at := range []string{"the start of a server", "pool, first output", "pool, closed loop, 20 clients", "pool, paced, 20 clients"} {
		t.Run(at, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := errors.New("enough")
			_, err := Run(ctx, Options{Tako: takotest.Binary(t), Requests: 2, Clients: []int{20}, Only: []string{Pool}, Say: func(s string) {
				if s == at {
					cancel(stop)
				}
			}})
			if ctx.Err() == nil || err == nil {
				t.Errorf("it was not given up: %v", err)
			}
			nothingLeft(t, tmp)
		})
	}
}

// nothingLeft looks for files, processes, mounts and groups of servers whose
// files were below tmp.
func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	takotest.Settled(t, 10*time.Second, func() error {
		var left []string
		files, err := os.ReadDir(tmp)
		if err != nil {
			return err
		}
		for _, f := range files {
			left = append(left, f.Name())
		}
		processes, _ := filepath.Glob("/proc/[0-9]*/cmdline") // some end meanwhile
		for _, p := range processes {
			if line, _ := os.ReadFile(p); strings.Contains(string(line), tmp) {
				left = append(left, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), tmp) {
			left = append(left, "a mount")
		}
		groups, _ := filepath.Glob("/sys/fs/cgroup/*/tako/*-*")
		for _, g := range groups {
			pid, _, _ := strings.Cut(filepath.Base(g), "-")
			if _, err := os.Stat("/proc/" + pid); pid != "test" && err != nil {
				left = append(left, g)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}
