package assembly

import (
	"time"

	"github.com/takovm/tako/internal/job"
)

// corpusCase is what is known of a program of the corpus. The zero value is one
// that succeeds in the limits of every test and sees no difference.
type corpusCase struct {
	want   *verdict
	limits []func(*job.Limits)
	// differs are lines of standard output, by their beginnings, that cannot
	// be equal, and why.
	differs map[string]string
	// cold is a program that cannot be held.
	cold bool
	// undecided is one whose end depends on the version of Python.
	undecided bool
}

func (c corpusCase) supply() job.Supply {
	if c.cold {
		return job.SupplyCold
	}
	return job.SupplyRestore
}

func (c corpusCase) verdict() verdict {
	if c.want != nil {
		return *c.want
	}
	return verdict{job.Succeeded, job.EndedBy{Actor: job.ActorUserCode}, "", 0}
}

// fails is a program that exits with a code.
func fails(code int, kind string) corpusCase {
	return corpusCase{want: &verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, kind, code}}
}

// killed is a program that a signal of its own ends.
func killed(signal string, code int, kind string) corpusCase {
	return corpusCase{want: &verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode, Signal: signal}, kind, code}}
}

// late is a program whose time runs out.
func late(signal string) corpusCase {
	by := job.EndedBy{Actor: job.ActorTimeout, Limit: "timeout", Signal: signal}
	return corpusCase{
		want: &verdict{job.Timeout, by, "execution_timeout", 124},
		limits: []func(*job.Limits){func(l *job.Limits) {
			l.Execution, l.KillGrace = 700*time.Millisecond, 300*time.Millisecond
		}},
	}
}

// clocksGoOn is why a restored machine is older than the attempt.
const clocksGoOn = "gVisor's clocks go on while a snapshot lies on the disk: machine and interpreter are as old as it"

// initHolds is why init's descriptors, which cannot be opened, have other
// numbers.
const initHolds = "init held the pipe of the script and its directory when it made those of the output"

// zipImporter is why a restored interpreter has read less.
const zipImporter = "the zip importer looks at the last bytes of a script that is a file, and cannot at those of a pipe"

// corpusCases are the programs of which anything is known, by name.
func corpusCases() map[string]corpusCase {
	syntax := fails(1, "syntax_error")
	return map[string]corpusCase{
		"artifacts_invalid":  fails(4, "runtime_error"),
		"asyncio_basics":     fails(1, "runtime_error"),
		"doctest_main":       fails(1, "runtime_error"),
		"exit_bool":          fails(1, "runtime_error"),
		"exit_builtin":       fails(1, "runtime_error"),
		"exit_closed_stdout": fails(1, "value_error"),
		"exit_excepthook":    fails(1, "runtime_error"),
		"exit_float":         fails(1, "runtime_error"),
		"exit_int":           fails(3, "runtime_error"),
		"exit_interrupt":     killed("SIGINT", 130, "runtime_error"),
		"exit_large":         fails(7, "runtime_error"),
		"exit_negative":      fails(255, "runtime_error"),
		"exit_os":            fails(9, "runtime_error"),
		"exit_text":          fails(1, "runtime_error"),
		"exit_tuple":         fails(1, "runtime_error"),
		"faulthandler_dump":  killed("SIGABRT", 134, "abort"),
		"interactive":        fails(1, "runtime_error"),
		"kill_abort_handler": killed("SIGABRT", 134, "abort"),
		"kill_abrt":          killed("SIGABRT", 134, "abort"),
		"kill_alarm_default": killed("SIGALRM", 142, "runtime_error"),
		"kill_alrm":          killed("SIGALRM", 142, "runtime_error"),
		"kill_int":           killed("SIGINT", 130, "runtime_error"),
		"kill_kill":          killed("SIGKILL", 137, "killed"),
		"kill_segv":          killed("SIGSEGV", 139, "segfault"),
		"kill_segv_real":     killed("SIGSEGV", 139, "segfault"),
		"kill_term":          killed("SIGTERM", 143, "cancelled"),
		"limit_processes":    {limits: []func(*job.Limits){func(l *job.Limits) { l.PIDs = 12 }}},
		"memory_error":       fails(1, "oom"),
		"memory_limit": {want: &verdict{
			job.OOM, job.EndedBy{Actor: job.ActorMemory, Limit: "memory", Signal: "SIGKILL"}, "oom", 137,
		}},
		"code_inode": {differs: map[string]string{
			"2 ": "the number was the pipe's that held the interpreter", "3 ": "the file that took its place has the next",
		}},
		"proc_init_descriptors": {differs: map[string]string{
			"6 ": initHolds, "7 ": initHolds, "8 ": initHolds, "9 ": initHolds,
		}},
		"proc_io": {differs: map[string]string{
			"rchar": zipImporter, "syscr": zipImporter,
		}},
		"process_age": {differs: map[string]string{
			"uptime": clocksGoOn, "boot": clocksGoOn, "age": clocksGoOn, "monotonic": clocksGoOn, "cache": clocksGoOn,
		}},
		"recursion":                 fails(1, "recursion_error"),
		"signal_pipe":               killed("SIGPIPE", 141, "pipe_error"),
		"stack_overflow":            killed("SIGSEGV", 139, "segfault"),
		"stdin_eof":                 fails(1, "runtime_error"),
		"timeout_burn":              late("SIGTERM"),
		"timeout_handled":           late(""),
		"timeout_sleep":             late("SIGTERM"),
		"traceback_chained":         fails(1, "os_error"),
		"traceback_dedent":          syntax,
		"traceback_future":          syntax,
		"traceback_group":           fails(1, "runtime_error"),
		"traceback_indent":          syntax,
		"traceback_nested":          fails(1, "json_error"),
		"traceback_nonlocal":        syntax,
		"traceback_syntax":          syntax,
		"traceback_syntax_string":   syntax,
		"traceback_syntax_unclosed": syntax,
		"traceback_syntax_wide":     syntax,
		"traceback_tabs":            syntax,
		"traceback_unicode":         fails(1, "key_error"),
		"unittest_main":             fails(1, "assertion_error"),
		"zipimport_main":            fails(1, "value_error"),
	}
}
