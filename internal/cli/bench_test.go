package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBenchSettles(t *testing.T) {
	for name, tt := range map[string]struct {
		given    bench
		requests int
		clients  []int
		problem  string
	}{
		"defaults":          {bench{}, 40, []int{1, 10, 50, 100}, ""},
		"quick":             {bench{quick: true}, 10, []int{1, 10}, ""},
		"quick but":         {bench{quick: true, requests: 3, clients: []int{2}}, 3, []int{2}, ""},
		"a part":            {bench{only: []string{"cold", "others"}}, 40, []int{1, 10, 50, 100}, ""},
		"an unknown part":   {bench{only: []string{"warm"}}, 0, nil, `--only has "warm": it takes others, pool, restore, cold`},
		"negative requests": {bench{requests: -1}, 0, nil, "--requests is -1"},
		"too many requests": {bench{requests: 10_001}, 0, nil, "--requests is 10001"},
		"no client":         {bench{clients: []int{1, 0}}, 0, nil, "--clients has 0"},
		"too many clients":  {bench{clients: []int{1001}}, 0, nil, "--clients has 1001"},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.given
			err := b.settle()
			if tt.problem != "" {
				var exit *exitError
				if !errors.As(err, &exit) || exit.code != exitUsage || !strings.Contains(exit.msg, tt.problem) {
					t.Errorf("%v, want %q", err, tt.problem)
				}
				return
			}
			if err != nil || b.requests != tt.requests || !slices.Equal(b.clients, tt.clients) {
				t.Errorf("%v: %+v", err, b)
			}
		})
	}
}

// What cannot be written is refused before anything is measured, and what was
// there is not touched.
func TestBenchFiles(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old.svg")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"": true, "-": true, old: true, filepath.Join(dir, "new.svg"): true,
		dir: false, filepath.Join(dir, "none", "new.svg"): false, filepath.Join(old, "new.svg"): false} {
		if err := writable(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if text, err := os.ReadFile(old); err != nil || string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
}
