package job

import (
	"fmt"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// Limits bound one attempt. Every field is enforced; a limit that a host
// cannot enforce is an error in strict mode, never a silence.
type Limits struct {
	// Memory bounds everything the sandbox holds, in bytes: the program, the
	// files it writes to /tmp, /output and /dev/shm, shared memory, pipe and
	// socket buffers, and the sandbox's own kernel. 64 MiB to 32 GiB,
	// default 512 MiB.
	Memory int64 `json:"memory"`
	// CPUs bounds processor time per second of wall time. 0.1 to 16, default 1.
	CPUs float64 `json:"cpus"`
	// PIDs bounds the user's processes and threads together. 1 to 1000, default 50.
	PIDs int `json:"pids"`
	// OpenFiles bounds descriptors per process (RLIMIT_NOFILE). 16 to 65536,
	// default 256.
	OpenFiles int `json:"open_files"`
	// FileSize bounds one file (RLIMIT_FSIZE), in bytes. Default 100 MiB.
	FileSize int64 `json:"file_size"`
	// Disk bounds each of /tmp, /output and /app, in bytes. 1 MiB to 8 GiB,
	// default 100 MiB. What is stored there counts as Memory, too.
	Disk int64 `json:"disk"`
	// Files bounds the files and directories of each writable file system.
	// 64 to 4,194,304, default 20,000.
	Files int `json:"files"`
	// Shm bounds /dev/shm, in bytes. Default 64 MiB.
	Shm int64 `json:"shm"`
	// Stdout and Stderr bound what is kept of each stream, in bytes. More is
	// dropped and flagged; the program is not stopped. 0 keeps nothing.
	// Default 64 KiB each.
	Stdout int64 `json:"stdout_bytes"`
	Stderr int64 `json:"stderr_bytes"`
	// Artifact bounds one collected file, Artifacts all of them together, in
	// bytes; ArtifactFiles their number. A file beyond is skipped and noted.
	// Default 10 MiB, 50 MiB, 1,000.
	Artifact      int64 `json:"artifact_bytes"`
	Artifacts     int64 `json:"artifacts_bytes"`
	ArtifactFiles int   `json:"artifact_files"`
	// Startup bounds the time from the launch to the program's first
	// instruction, Execution the time after it. Default 120 s and 30 s.
	Startup   time.Duration `json:"startup_ns"`
	Execution time.Duration `json:"execution_ns"`
	// KillGrace is the time between SIGTERM and SIGKILL when Execution ran
	// out. 0 to 60 s, default 500 ms.
	KillGrace time.Duration `json:"kill_grace_ns"`
}

// DefaultLimits are the limits of a job that asks for none.
func DefaultLimits() Limits {
	return Limits{
		Memory:        512 * mib,
		CPUs:          1,
		PIDs:          50,
		OpenFiles:     256,
		FileSize:      100 * mib,
		Disk:          100 * mib,
		Files:         20_000,
		Shm:           64 * mib,
		Stdout:        64 * kib,
		Stderr:        64 * kib,
		Artifact:      10 * mib,
		Artifacts:     50 * mib,
		ArtifactFiles: 1000,
		Startup:       120 * time.Second,
		Execution:     30 * time.Second,
		KillGrace:     500 * time.Millisecond,
	}
}

// Validate reports the first field that is out of range, by name.
func (l Limits) Validate() error {
	ranges := []struct {
		name          string
		got, min, max int64
		unit          string
	}{
		{"memory", l.Memory, 64 * mib, 32 * gib, " bytes"},
		{"pids", int64(l.PIDs), 1, 1000, ""},
		{"open files", int64(l.OpenFiles), 16, 65536, ""},
		{"file size", l.FileSize, 1 * mib, 8 * gib, " bytes"},
		{"disk", l.Disk, 1 * mib, 8 * gib, " bytes"},
		{"files", int64(l.Files), 64, 1 << 22, ""},
		{"shm", l.Shm, 4 * kib, 8 * gib, " bytes"},
		{"stdout", l.Stdout, 0, 1 * gib, " bytes"},
		{"stderr", l.Stderr, 0, 1 * gib, " bytes"},
		{"artifact size", l.Artifact, 0, 10 * gib, " bytes"},
		{"total artifact size", l.Artifacts, 0, 10 * gib, " bytes"},
		{"artifact count", int64(l.ArtifactFiles), 0, 1 << 20, ""},
	}
	for _, r := range ranges {
		if r.got < r.min || r.got > r.max {
			return Errorf(KindInvalid, "%s is %d%s: it must be between %d and %d", r.name, r.got, r.unit, r.min, r.max)
		}
	}
	times := []struct {
		name          string
		got, min, max time.Duration
	}{
		{"startup timeout", l.Startup, time.Millisecond, 30 * time.Minute},
		{"timeout", l.Execution, time.Millisecond, 24 * time.Hour},
		{"kill grace", l.KillGrace, 0, time.Minute},
	}
	for _, t := range times {
		if t.got < t.min || t.got > t.max {
			return Errorf(KindInvalid, "%s is %v: it must be between %v and %v", t.name, t.got, t.min, t.max)
		}
	}
	// Written so that NaN fails, too.
	if !(l.CPUs >= 0.1 && l.CPUs <= 16) {
		return Errorf(KindInvalid, "cpus is %s: it must be between 0.1 and 16", fmt.Sprint(l.CPUs))
	}
	return nil
}
