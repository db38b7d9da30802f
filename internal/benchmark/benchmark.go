// Package benchmark measures tako on the machine it runs on, beside whatever
// else runs code there: it starts servers of its own, asks them over HTTP as a
// client would, and removes all of it.
//
// What is compared is measured in the same run, in turn, since machines are
// shared and noisy; figures of one run are to be read as ratios. What is not
// installed is not measured, and says so.
package benchmark

import "time"

// code is the job that is measured.
const code = "print(1+1)"

// answer is what it prints.
const answer = "2\n"

// Options say what to measure.
type Options struct {
	// Tako is the binary; Version and Engine are what it says of itself.
	Tako, Version, Engine string
	// SecurityMode is the servers'; empty is their default.
	SecurityMode string
	// Requests of each row, at least; a row of n clients makes n at least.
	Requests int
	Clients  []int
	// Only names the parts to measure, of Parts; none is all.
	Only []string
	// Say is told what is being done, a line at a time; nil is nobody.
	Say func(string)
}

// The parts of a run.
const (
	Others  = "others"
	Pool    = "pool"
	Restore = "restore"
	Cold    = "cold"
)

// Parts are what Options.Only can name.
func Parts() []string { return []string{Others, Pool, Restore, Cold} }

// Times are of jobs that were done, in milliseconds from the request to its
// answer.
type Times struct {
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
}

// Row is one way to run the job.
type Row struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	Jobs    int    `json:"jobs"`
	Failed  int    `json:"failed"`
	Times
	// PerSecond is what was completed a second, where clients ask without pause.
	PerSecond float64 `json:"jobs_per_second,omitempty"`
	// Supplies are the row's jobs by where their sandboxes came from: pool,
	// restore, cold.
	Supplies map[string]Supply `json:"supplies,omitempty"`
	// CPU is processor time for each job, in milliseconds. Of tako: the server
	// and its sandboxes, their making and removal included, and that of sandboxes
	// that were made to wait. Of python3: the process. 0 where it is not known.
	CPU float64 `json:"cpu_ms_per_job,omitempty"`
	// PeakMB is the most that a job's sandbox was charged for, its kernel and page
	// tables included, the median; 0 where the host does not count it.
	PeakMB float64 `json:"peak_mb_per_job,omitempty"`
	// ProgramMB is what the records of jobs say: the program alone.
	ProgramMB float64 `json:"program_mb_per_job,omitempty"`
	// Python is the P50 of the host's python3, run before each of the row's jobs.
	Python float64 `json:"paired_python3_p50_ms,omitempty"`
	// Ratio is P50 over Python, or over python3's own row.
	Ratio float64 `json:"p50_over_python3,omitempty"`
	// Other is what is not tako.
	Other bool `json:"other,omitempty"`
	// Missing says why nothing was measured.
	Missing string `json:"not_measured,omitempty"`
	// Said is the first failure.
	Said string `json:"said,omitempty"`
}

// Supply is the part of a row's jobs whose sandboxes came from one place.
type Supply struct {
	Jobs int `json:"jobs"`
	Times
}

// Report is what was found.
type Report struct {
	Machine  Machine `json:"machine"`
	Tako     string  `json:"tako_version"`
	Engine   string  `json:"engine"`
	Mode     string  `json:"security_mode,omitempty"`
	Workers  int     `json:"max_workers"`
	Requests int     `json:"requests_per_row"`
	// IdleMB is what a sandbox that waits is charged for: its kernel's memory,
	// the interpreter, page tables; without what is shared.
	IdleMB float64   `json:"idle_mb_per_sandbox,omitempty"`
	Rows   []Row     `json:"rows"`
	Begun  time.Time `json:"begun"`
	Took   float64   `json:"seconds"`
}

// Failed reports whether any job did.
func (r *Report) Failed() bool {
	for _, row := range r.Rows {
		if row.Failed > 0 {
			return true
		}
	}
	return false
}
