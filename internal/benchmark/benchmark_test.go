package benchmark

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, tt := range []struct {
		values []float64
		share  float64
		want   float64
	}{
		{nil, 0.5, 0}, {[]float64{7}, 0.99, 7}, {[]float64{1, 2}, 0.5, 1}, {[]float64{1, 2, 3}, 0.5, 2},
		{hundred, 0.5, 50}, {hundred, 0.95, 95}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1},
	} {
		if got := quantile(tt.values, tt.share); got != tt.want {
			t.Errorf("quantile %v of %d values is %v, want %v", tt.share, len(tt.values), got, tt.want)
		}
	}
}

func sample() *Report {
	return &Report{
		Machine: Machine{Processor: `<AMD> & "co"`, CPUs: 2, Kernel: "6.1"}, Requests: 5, Workers: 4, IdleMB: 17.25,
		Rows: []Row{
			{Name: pythonRow, Other: true, Clients: 1, Jobs: 5, P50: 15, P95: 16, P99: 17, Ratio: 1},
			{Name: "docker run, runc", Clients: 1, Missing: "docker is not installed"},
			{Name: "pool, closed loop", Clients: 50, Jobs: 100, Failed: 2, P50: 1234, P95: 2000, P99: 2500, PerSecond: 20, CPU: 61.5,
				Supplies: map[string]int{"restore": 90, "pool": 8}, Said: "it <broke>"},
		},
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := sample().Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"not measured", "docker run, runc was not measured: docker is not installed.", "pool 8, restore 90",
		"17.2 MB", "2 of 100 failed: it <broke>", "1234", "61.5"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if !sample().Failed() {
		t.Error("nothing failed")
	}
}

// The plot is XML whatever a machine is called, and has no row without times.
func TestSVG(t *testing.T) {
	for _, r := range []*Report{sample(), {}} {
		var b strings.Builder
		if err := r.SVG(&b); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, &b)
			}
		}
		if strings.Contains(b.String(), "runc") || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("the plot has %s", &b)
		}
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"not_measured":"docker is not installed"`, `"p50_ms":1234`, `"jobs_per_second":20`, `"idle_mb_per_sandbox":17.25`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// What is not there, or does not work, is not measured, and says why.
func TestInstalled(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	missing := func() (all []string) {
		for _, r := range installed(t.Context())[1:] {
			all = append(all, r.missing)
		}
		return all
	}
	for _, m := range missing() {
		if !strings.Contains(m, "is not installed") {
			t.Errorf("without it: %q", m)
		}
	}
	for name, script := range map[string]string{"bwrap": "echo no namespaces >&2; exit 1", "docker": "echo 3"} {
		if err := os.WriteFile(bin+"/"+name, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got := missing()
	if !strings.Contains(got[0], "bwrap does not work here: exit status 1: no namespaces") {
		t.Errorf("a bwrap that fails: %q", got[0])
	}
	if !strings.Contains(got[1], `does not run python:3-slim: it printed "3\n"`) {
		t.Errorf("a docker that says something else: %q", got[1])
	}
}

func TestWorkers(t *testing.T) {
	if n := workers([]int{1}); n < 4 {
		t.Errorf("for one client: %d", n)
	}
	if n := workers([]int{1, 1000}); n*17 < 1000 {
		t.Errorf("for a thousand: %d", n)
	}
}

func TestProcessorTime(t *testing.T) {
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for {
		after, err := processorTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			return
		}
	}
}

// It measures what it says, and leaves nothing.
func TestRun(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var said []string
	r, err := Run(t.Context(), Options{Tako: takotest.Binary(t), Requests: 3, Clients: []int{2}, Say: func(s string) { said = append(said, s) }})
	if err != nil {
		t.Fatalf("%v after %v", err, said)
	}
	supplies := map[string]string{"pool, paced": "pool", "restored, paced": "restore", "cold, paced": "cold"}
	for _, row := range r.Rows {
		if row.Missing == "" && (row.Failed > 0 || row.P50 <= 0 || row.P99 < row.P50 || row.Jobs < 3) {
			t.Errorf("%+v", row)
		}
		if want, ok := supplies[row.Name]; ok && (row.Supplies[want] != 3 || row.PeakMB <= 0) {
			t.Errorf("%+v", row)
		}
		if strings.Contains(row.Name, "closed loop") && (row.PerSecond <= 0 || row.CPU <= 0 || row.Jobs != 4) {
			t.Errorf("%+v", row)
		}
		delete(supplies, row.Name)
	}
	if len(supplies) > 0 || r.IdleMB <= 0 {
		t.Errorf("not measured: %v; %v MB", supplies, r.IdleMB)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	if _, err := Run(ctx, Options{Tako: takotest.Binary(t), Requests: 3, Say: func(s string) {
		if s == "pool, first output" {
			cancel(stop)
		}
	}}); !errors.Is(err, stop) {
		t.Errorf("given up in the middle: %v", err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
