package assembly

import (
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// A program that goes over a limit of its own making gets the error that Linux
// has for it, and is not stopped by us.
func TestLimitsThatProgramsSee(t *testing.T) { eachSupply(t, limitsThatProgramsSee) }

func limitsThatProgramsSee(t *testing.T, r *rig) {
	user := job.EndedBy{Actor: job.ActorUserCode}
	failed := func(kind string) verdict { return verdict{job.Failed, user, kind, 1} }
	done := verdict{job.Succeeded, user, "", 0}
	const fill = `
import os
path, n = PATH, 0
fd = os.open(path + '/x', os.O_WRONLY | os.O_CREAT)
try:
    while True:
        n += os.write(fd, b'x' * 4096)
finally:
    print(n)
`
	const populate = `
import os
path, n = PATH, 0
try:
    while True:
        (os.mkdir if n % 2 else os.mknod)(f'{path}/{n}')
        n += 1
finally:
    print(n)
`
	in := func(code, path string) string { return strings.ReplaceAll(code, "PATH", "'"+path+"'") }
	for _, tc := range []struct {
		name, code string
		limits     func(*job.Limits)
		want       verdict
		out        string
		errOut     string // part of it
	}{
		{"processes", `
import os, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        n += 1
finally:
    print(n, flush=True)
`, func(l *job.Limits) { l.PIDs = 10 }, failed("runtime_error"), "9\n", "BlockingIOError"},
		{"threads", `
import threading, time
n = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        n += 1
finally:
    print(n, flush=True)
`, func(l *job.Limits) { l.PIDs = 10 }, failed("runtime_error"), "9\n", "RuntimeError: can't start new thread"},
		{"processes and threads together", `
import os, threading, time
n = 0
def more():
    if n % 2:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    elif os.fork() == 0:
        time.sleep(60)
try:
    while True:
        more()
        n += 1
except (BlockingIOError, RuntimeError):
    print(n, flush=True)
`, func(l *job.Limits) { l.PIDs = 10 }, done, "9\n", ""},
		{"no process beside the first", `
import os
try: os.fork()
except BlockingIOError: print('refused')
`, func(l *job.Limits) { l.PIDs = 1 }, done, "refused\n", ""},
		{"open files", `
hold = []
try:
    while True: hold.append(open('/dev/null'))
finally:
    print(len(hold) + 3)
`, func(l *job.Limits) { l.OpenFiles = 32 }, failed("os_error"), "32\n", "Too many open files"},
		{"open files, raised by the program", `
import resource
try: resource.setrlimit(resource.RLIMIT_NOFILE, (33, 33))
except ValueError: print('refused')
`, func(l *job.Limits) { l.OpenFiles = 32 }, done, "refused\n", ""},
		{"file size", in(fill, "/tmp"), func(l *job.Limits) { l.FileSize = 1 << 20 }, failed("os_error"), "1048576\n", "File too large"},
		{"file size, with the signal", `
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
open('/tmp/x', 'wb', buffering=0).truncate(2 << 20)
`, func(l *job.Limits) { l.FileSize = 1 << 20 },
			verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode, Signal: "SIGXFSZ"}, "runtime_error", 153}, "", ""},
		{"/tmp", in(fill, "/tmp"), func(l *job.Limits) { l.Disk = 1 << 20 }, failed("os_error"), "1048576\n", "No space left"},
		{"/app", in(fill, "/app"), func(l *job.Limits) { l.Disk = 1 << 20 }, failed("os_error"), "1048576\n", "No space left"},
		{"/output", in(fill, "/output"), func(l *job.Limits) { l.Disk = 1 << 20 }, failed("os_error"), "1048576\n", "No space left"},
		{"/dev/shm", in(fill, "/dev/shm"), func(l *job.Limits) { l.Shm = 1 << 20 }, failed("os_error"), "1048576\n", "No space left"},
		{"entries of /tmp", in(populate, "/tmp"), func(l *job.Limits) { l.Files = 64 }, failed("os_error"), "", "No space left"},
		{"entries of /app", in(populate, "/app"), func(l *job.Limits) { l.Files = 64 }, failed("os_error"), "", "No space left"},
		{"entries of /output", in(populate, "/output"), func(l *job.Limits) { l.Files = 64 }, failed("os_error"), "", "No space left"},
		{"entries of /dev/shm", in(populate, "/dev/shm"), func(l *job.Limits) { l.Files = 64 }, failed("os_error"), "", "No space left"},
		{"writing elsewhere", `open('/usr/x', 'w')`, func(*job.Limits) {}, failed("os_error"), "", "Read-only file system"},
		{"writing the input", `open('/input/data.json', 'w')`, func(*job.Limits) {}, failed("permission"), "", "Permission denied"},
		{"executing what was written to /tmp", `
import os
os.chmod(os.open('/tmp/x', os.O_CREAT), 0o755)
os.execv('/tmp/x', ['x'])
`, func(*job.Limits) {}, failed("permission"), "", "Permission denied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := r.run(t, r.python(tc.code, tc.limits))
			tc.want.check(t, res)
			if got := string(res.Stdout.Kept); tc.out != "" && got != tc.out || !strings.Contains(string(res.Stderr.Kept), tc.errOut) {
				t.Errorf("it printed %q, want %q, and on standard error %q, want %q", got, tc.out, res.Stderr.Kept, tc.errOut)
			}
		})
	}
}

// More output than the cap is dropped and flagged; the program goes on.
func TestOutputCaps(t *testing.T) { eachSupply(t, outputCaps) }

func outputCaps(t *testing.T, r *rig) {
	const limit = 64 << 10
	for _, tc := range []struct {
		name, code string
		out, err   int64 // bytes written
	}{
		{"one byte at a time", "import os\nfor _ in range(100_000): os.write(1, b'x')", 100_000, 0},
		{"binary", "import os\nos.write(2, os.urandom(50_000) + b'\\xff' * 50_000)", 0, 100_000},
		{"one long line", "print('x' * 10_000_000, end='')", 10_000_000, 0},
		{"both, entangled", "import os\nfor i in range(2000): os.write(1 + i % 2, b'x' * 1000)", 1_000_000, 1_000_000},
		{"exactly the cap", "import os\nos.write(1, b'x' * 65536)\nos.write(2, b'x' * 65536)", limit, limit},
		{"one byte more", "import os\nos.write(1, b'x' * 65537)\nos.write(2, b'x' * 65537)", limit + 1, limit + 1},
		{"nothing", "", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := r.run(t, r.python(tc.code+"\npass"))
			verdict{job.Succeeded, job.EndedBy{Actor: job.ActorUserCode}, "", 0}.check(t, res)
			checkStream(t, "stdout", res.Stdout, tc.out, limit)
			checkStream(t, "stderr", res.Stderr, tc.err, limit)
		})
	}
	res := r.run(t, r.python("print('x')", func(l *job.Limits) { l.Stdout, l.Stderr = 0, 0 }))
	checkStream(t, "stdout that is not kept", res.Stdout, 2, 0)
}

func checkStream(t *testing.T, name string, s runner.Stream, total, limit int64) {
	t.Helper()
	if s.Total != total || s.Truncated != (total > limit) || int64(len(s.Kept)) > limit || !s.Truncated && int64(len(s.Kept)) != total {
		t.Errorf("%s: %d of %d bytes are kept, truncated: %v; %d were written, the cap is %d",
			name, len(s.Kept), s.Total, s.Truncated, total, limit)
	}
}
