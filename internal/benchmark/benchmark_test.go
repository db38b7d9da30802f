package benchmark

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
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
		Machine: Machine{Processor: `<AMD> & "co"`, CPUs: 2, Kernel: "6.1"}, Tako: "1.2.3", Requests: 5, Workers: 4, IdleMB: 17.25,
		Rows: []Row{
			{Name: pythonRow, Other: true, Clients: 1, Jobs: 5, Times: Times{15, 16, 17}, Ratio: 1},
			{Name: "docker run, runc", Clients: 1, Missing: "docker is not installed"},
			{Name: "pool, paced", Clients: 1, Jobs: 5, Times: Times{18, 20, 22}, Python: 14.5, Supplies: map[string]Supply{"pool": {5, Times{18, 20, 22}}}},
			{Name: "pool, closed loop", Clients: 50, Jobs: 100, Failed: 2, Times: Times{1234, 2000, 2500}, PerSecond: 20, CPU: 61.5,
				Supplies: map[string]Supply{"restore": {90, Times{1300, 2100, 2500}}, "pool": {8, Times{321, 400, 500}}}, Said: "it <broke>"},
		},
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := sample().Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"not measured", "docker run, runc was not measured: docker is not installed\n", "pool hit", "321", "pool, paced: python3 before each of the jobs took 14.5 ms", "tako 1.2.3",
		"17.2 MB", "2 of 100 failed: it <broke>", "1234", "61.5"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "no memory cgroup") {
		t.Errorf("it was charged:\n%s", &b)
	}
	b.Reset()
	bare := sample()
	bare.IdleMB = 0
	if err := bare.Table(&b); err != nil || !strings.Contains(b.String(), "charged for was not measured: this user has no memory cgroup") {
		t.Errorf("%v:\n%s", err, &b)
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
	for _, want := range []string{`"not_measured":"docker is not installed"`, `"p50_ms":1234`, `"jobs_per_second":20`, `"supplies":{"pool":{"jobs":8,"p50_ms":321`, `"tako_version":"1.2.3"`,
		`"idle_mb_per_sandbox":17.25`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// A row says that part of its jobs were not what its name says, and no more
// than that.
func TestParts(t *testing.T) {
	all := func(supplies ...string) map[string]Supply {
		m := map[string]Supply{}
		for _, s := range supplies {
			m[s] = Supply{Jobs: 1}
		}
		return m
	}
	for _, tt := range []struct {
		row  Row
		want string
	}{
		{Row{Name: "pool, paced", Supplies: all(Pool)}, ""},
		{Row{Name: "pool, paced", Supplies: all(Pool, Restore)}, "pool hit restored"},
		{Row{Name: "pool, paced", Supplies: all(Restore)}, "restored"},
		{Row{Name: "restored, closed loop", Supplies: all(Restore)}, ""},
		{Row{Name: "restored, closed loop", Supplies: all(Cold)}, "cold"},
		{Row{Name: "cold, paced", Supplies: all(Cold)}, ""},
		{Row{Name: pythonRow}, ""},
	} {
		var names []string
		for _, p := range tt.row.parts() {
			names = append(names, p.name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s of %v has %q, want %q", tt.row.Name, tt.row.Supplies, got, tt.want)
		}
	}
}

// A row that has pairs is compared with these, not with python3's own row.
func TestCompare(t *testing.T) {
	s := &session{report: Report{Rows: []Row{
		{Name: pythonRow, Times: Times{P50: 10}}, {Name: "paced", Times: Times{P50: 40}, Python: 20}, {Name: "loop", Times: Times{P50: 40}}}}}
	s.compare()
	for i, want := range []float64{1, 2, 4} {
		if got := s.report.Rows[i].Ratio; got != want {
			t.Errorf("%s: %v, want %v", s.report.Rows[i].Name, got, want)
		}
	}
}

// What is not there, or does not work, is not measured, and says why.
func TestInstalled(t *testing.T) {
	const works = "echo 2"
	for name, tt := range map[string]struct {
		bwrap, docker     string
		jail, runc, runsc string
	}{
		"nothing": {"", "", "bwrap is not installed", "docker is not installed", "docker is not installed"},
		"no namespaces": {"echo no namespaces >&2; exit 1", "", "bwrap does not work here: exit status 1: no namespaces",
			"docker is not installed", "docker is not installed"},
		"no daemon": {works, `echo "Cannot connect" >&2; echo more >&2; exit 1`, "", "docker's daemon does not answer: exit status 1: Cannot connect",
			"docker's daemon does not answer: exit status 1: Cannot connect"},
		"no image": {works, `test "$1" != image`, "", "docker has no image python:3-slim, and none is fetched (docker pull python:3-slim)",
			"docker has no image python:3-slim, and none is fetched (docker pull python:3-slim)"},
		"no runsc": {works, `case "$*" in *=runsc*) echo unknown runtime >&2; exit 125;; *) echo 2;; esac`, "", "",
			"docker does not run python:3-slim with runsc: exit status 125: unknown runtime"},
		"another answer": {works, "echo 3", "", `docker does not run python:3-slim with runc: it printed "3\n"`,
			`docker does not run python:3-slim with runsc: it printed "3\n"`},
		"everything": {works, works, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			t.Setenv("PATH", bin)
			for name, script := range map[string]string{"bwrap": tt.bwrap, "docker": tt.docker} {
				if script == "" {
					continue
				}
				if err := os.WriteFile(bin+"/"+name, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for i, want := range []string{tt.jail, tt.runc, tt.runsc} {
				if r := installed(t.Context())[1+i]; r.missing != want {
					t.Errorf("%s: %q, want %q", r.name, r.missing, want)
				}
			}
		})
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
