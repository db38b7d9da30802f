package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// record is what tako run --json prints: the record of the API as far as one
// attempt without a server has it.
type record struct {
	Status          job.Status        `json:"status"`
	Success         bool              `json:"success"`
	ExitCode        *int              `json:"exit_code"`
	Stdout          string            `json:"stdout"`
	Stderr          string            `json:"stderr"`
	StdoutTruncated bool              `json:"stdout_truncated"`
	StderrTruncated bool              `json:"stderr_truncated"`
	StdoutBytes     int64             `json:"stdout_bytes"`
	StderrBytes     int64             `json:"stderr_bytes"`
	Output          json.RawMessage   `json:"output"`
	OutputNote      string            `json:"output_note,omitempty"`
	Error           *job.Failure      `json:"error"`
	EndedBy         job.EndedBy       `json:"ended_by"`
	Timing          timing            `json:"timing"`
	ResourceUsage   resourceUsage     `json:"resource_usage"`
	Artifacts       []job.Artifact    `json:"artifacts"`
	Skipped         []string          `json:"skipped_artifacts,omitempty"`
	Environment     recordEnvironment `json:"environment"`
	Network         *job.NetworkUse   `json:"network,omitempty"`
	Sandbox         recordSandbox     `json:"sandbox"`
}

type timing struct {
	StartupMS   int64     `json:"startup_ms"`
	ExecutionMS int64     `json:"execution_ms"`
	TotalMS     int64     `json:"total_ms"`
	PhaseAtExit job.Phase `json:"phase_at_exit"`
}

type resourceUsage struct {
	MaxRSSMB   float64 `json:"max_rss_mb"`
	CPUTimeMS  int64   `json:"cpu_time_ms"`
	WallTimeMS int64   `json:"wall_time_ms"`
}

type recordEnvironment struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

type recordSandbox struct {
	Supply        job.Supply `json:"supply"`
	Engine        string     `json:"engine"`
	EngineVersion string     `json:"engine_version"`
	Unenforced    []string   `json:"unenforced,omitempty"`
}

func newRecord(l *assembly.Local, res *runner.Result) record {
	info := l.Engine.Info()
	return record{
		Status:          res.Status,
		Success:         res.Status == job.Succeeded,
		ExitCode:        res.ExitCode,
		Stdout:          text(res.Stdout.Kept),
		Stderr:          text(res.Stderr.Kept),
		StdoutTruncated: res.Stdout.Truncated,
		StderrTruncated: res.Stderr.Truncated,
		StdoutBytes:     res.Stdout.Total,
		StderrBytes:     res.Stderr.Total,
		Output:          res.Output,
		Network:         res.Network,
		OutputNote:      res.OutputNote,
		Error:           res.Error,
		EndedBy:         res.EndedBy,
		Timing:          newTiming(res.Timing),
		ResourceUsage: resourceUsage{
			MaxRSSMB:   float64(res.Usage.MaxRSS) / (1 << 20),
			CPUTimeMS:  res.Usage.CPUTime.Milliseconds(),
			WallTimeMS: res.Usage.Wall.Milliseconds(),
		},
		Artifacts:   append([]job.Artifact{}, res.Artifacts...),
		Skipped:     res.Skipped,
		Environment: recordEnvironment{res.Environment.Name, res.Environment.Version, res.Environment.Digest},
		Sandbox:     recordSandbox{res.Supply, info.Name, info.Version, res.Unenforced},
	}
}

func newTiming(t job.Timing) timing {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	return timing{ms(t.Startup), ms(t.Execution), ms(t.Total), t.PhaseAtExit}
}

// text makes JSON's kind of text of what a program wrote.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// printRecord prints the record with indentation, save for the program's own
// output, which goes through byte for byte: indenting what user code has nested
// could multiply it a thousandfold.
func printRecord(w io.Writer, l *assembly.Local, res *runner.Result) error {
	r := newRecord(l, res)
	output := []byte(r.Output)
	r.Output = nil
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("printing the record: %w", err)
	}
	record := b.Bytes()
	// No string of the record has a line break in it: this is the field.
	const field = "\n  \"output\": "
	if at := bytes.Index(record, []byte(field+"null")); at >= 0 && output != nil {
		at += len(field)
		record = slices.Concat(record[:at], output, record[at+len("null"):])
	}
	if _, err := w.Write(record); err != nil {
		return job.Errorf(job.KindUnavailable, "printing the record: %w", err)
	}
	return nil
}
