package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/takotest"
)

func TestSpread(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   spread
	}{
		"nothing":                        {nil, spread{}},
		"one value":                      {[]float64{3}, spread{3, 3, 3}},
		"odd: the one in the middle":     {[]float64{9, 1, 2}, spread{1, 2, 9}},
		"even: the mean of the middle":   {[]float64{4, 1, 2, 9}, spread{1, 3, 9}},
		"one far off moves no median":    {[]float64{1, 1, 1, 1, 1000}, spread{1, 1, 1000}},
		"the values' order is no matter": {[]float64{5, 4, 3, 2, 1}, spread{1, 3, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			before := append([]float64(nil), c.values...)
			if got := spreadOf(c.values); got != c.want {
				t.Errorf("spreadOf(%v) = %v, want %v", c.values, got, c.want)
			}
			if diff := cmp.Diff(before, c.values); diff != "" {
				t.Errorf("the values were changed: %s", diff)
			}
		})
	}
}

func TestRatios(t *testing.T) {
	for name, c := range map[string]struct{ above, below, want []float64 }{
		"pair by pair":                {[]float64{8, 3}, []float64{10, 4}, []float64{0.8, 0.75}},
		"a zero below is left out":    {[]float64{8, 3}, []float64{0, 4}, []float64{0.75}},
		"a value without its partner": {[]float64{8, 3, 5}, []float64{10}, []float64{0.8}},
		"nothing":                     {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, ratios(c.above, c.below)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMetric(t *testing.T) {
	m := newMetric("wall", []float64{80, 100, 90}, []float64{100, 100, 200})
	if m.RatioOfMedians != 0.9 || m.PairedRatio != (spread{0.45, 0.8, 1}) {
		t.Errorf("got %v of medians and %v of pairs", m.RatioOfMedians, m.PairedRatio)
	}
}

// What a process's descendants use counts, waited for or not.
func TestRunCountsDescendants(t *testing.T) {
	const spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
	c := command{path: "/bin/sh", args: []string{"-c", "echo out; (" + spin + ") & wait; exit 3"}, limit: time.Minute, peak: true}
	m, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.ExitCode != 3 || string(m.Stdout) != "out\n" {
		t.Errorf("exit code %d, printed %q", m.ExitCode, m.Stdout)
	}
	if m.CPU < 10*time.Millisecond || m.Wall < m.CPU/2 || m.Peak == 0 {
		t.Errorf("%v CPU, %v wall, peak %d: one of them was not counted", m.CPU, m.Wall, m.Peak)
	}
}

func TestRunIsBounded(t *testing.T) {
	c := command{path: "/bin/sleep", args: []string{"60"}, limit: 50 * time.Millisecond}
	if _, err := c.run(t.Context()); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
}

func TestLeftoversSeesFiles(t *testing.T) {
	data := t.TempDir()
	for _, name := range []string{"run/lock", "run/1-a/lock", "cache/environments/x.erofs", "cache/environments/y.tmp"} {
		path := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := filesLeft(data); got != 3 { // a home, its lock, an unfinished file
		t.Errorf("%d files, want 3", got)
	}
}

// The parts that need no second program, in small, on real sandboxes. What they
// count is asserted here; times never are.
func TestQuick(t *testing.T) {
	takotest.RequireRoot(t) // an ordinary user has no limits in strict mode
	if takotest.Cgroups(t) == nil {
		t.Skip("needs cgroups")
	}
	var r report
	for _, part := range []string{"load", "attacks"} {
		quick(t, part, &r)
	}
	for _, b := range r.Load {
		if b.Failed != 0 || b.After.sum() != 0 {
			t.Errorf("of %d runs %d failed (%s); left: %v", b.Runs, b.Failed, b.Said, b.After)
		}
	}
	for _, o := range r.Attacks {
		if !o.asWanted() {
			t.Errorf("%s: %s with %d, want %s with %d: %s", o.Name, o.Status, o.Code, o.WantedStatus, o.WantedCode, o.Said)
		}
	}
	if len(r.Load) == 0 || len(r.Attacks) == 0 {
		t.Error("nothing was measured")
	}
}

// quick runs one part of the bench and reads its report into r.
func quick(t *testing.T, part string, r *report) {
	t.Helper()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "report.json")
	err := bench(t.Context(), []string{"-quick", "-tako", takotest.Binary(t), "-json", file, "-only", part}, &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing"}, {"word"}, {"-pairs", "many"}, {"-pairs", "0"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	o, err := parse([]string{"-quick", "-pairs", "15"})
	if err != nil || o.pairs != 3 || o.serial != 20 || o.parallel != 10 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, part := range []string{"network", "packages"} {
		o, err := parse([]string{"-only", part})
		if err != nil || o.only != part || o.connections != 200 || o.transfer != 200_000_000 {
			t.Errorf("%s: got %+v, %v", part, o, err)
		}
	}
}
