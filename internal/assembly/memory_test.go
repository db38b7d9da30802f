package assembly

import (
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/takotest"
)

// Whatever memory is called, all of it counts, and going over the limit ends
// the sandbox at once.
func TestMemoryLimit(t *testing.T) {
	takotest.RequireRoot(t) // there is no memory limit without cgroups
	eachSupply(t, memoryLimit)
}

func memoryLimit(t *testing.T, r *rig) {
	for name, code := range map[string]string{
		"heap": `
hold = []
while True:
    hold.append(bytearray(b'x') * (1 << 20))
`,
		"one huge allocation": `x = bytearray(b'x') * (1 << 30)`,
		"many processes": `
import os, time
for _ in range(40):
    if os.fork() == 0:
        hold = bytearray(b'x') * (10 << 20)
        time.sleep(60)
time.sleep(60)
`,
		"threads' stacks and heaps": `
import threading, time
def f():
    hold = bytearray(b'x') * (20 << 20)
    time.sleep(60)
for _ in range(20):
    threading.Thread(target=f).start()
`,
		"files in /tmp": `
f = open('/tmp/x', 'wb')
while True:
    f.write(b'x' * (1 << 20))
`,
		"files in /output": `
f = open('/output/x', 'wb')
while True:
    f.write(b'x' * (1 << 20))
`,
		"/dev/shm": `
f = open('/dev/shm/x', 'wb')
while True:
    f.write(b'x' * (1 << 20))
`,
		"memfd": `
import os
fd = os.memfd_create('x')
while True:
    os.write(fd, b'x' * (1 << 20))
`,
		"System V shared memory": `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
while True:
    seg = libc.shmget(0, ctypes.c_size_t(64 << 20), 0o1600)
    assert seg >= 0, ctypes.get_errno()
    at = libc.shmat(seg, None, 0)
    assert at != ctypes.c_void_p(-1).value, ctypes.get_errno()
    ctypes.memset(at, 1, 64 << 20)
`,
		"shared anonymous mappings": `
import mmap
hold = []
while True:
    m = mmap.mmap(-1, 16 << 20)
    m.write(b'x' * (16 << 20))
    hold.append(m)
`,
		"pipe buffers": `
import os, fcntl
hold = []
while True:
    r, w = os.pipe()
    fcntl.fcntl(w, 1031, 1 << 20)  # F_SETPIPE_SZ
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, b'x' * 65536)
    except BlockingIOError:
        pass
    hold.append((r, w))
`,
		"socket buffers": `
import socket
hold = []
while True:
    a, b = socket.socketpair()
    a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    a.setblocking(False)
    try:
        while True:
            a.send(b'x' * 65536)
    except BlockingIOError:
        pass
    hold.append((a, b))
`,
	} {
		t.Run(name, func(t *testing.T) {
			a := r.python("print('up', flush=True)\n"+code, func(l *job.Limits) {
				l.Memory, l.Disk, l.FileSize, l.Shm = 128<<20, 1<<30, 1<<30, 1<<30
				l.OpenFiles = 4096
			})
			res := r.run(t, a)
			verdict{
				job.OOM, job.EndedBy{Actor: job.ActorMemory, Limit: "memory", Signal: "SIGKILL"}, "oom", 137,
			}.check(t, res)
			if string(res.Stdout.Kept) != "up\n" || res.Timing.PhaseAtExit != job.PhaseExecution {
				t.Errorf("what came before is not there: %s", show(res))
			}
		})
	}
}

// A program inside the limit is left alone, and a MemoryError that it raises
// itself is a claim: not the limit's doing.
func TestMemoryWithinTheLimit(t *testing.T) {
	r := newRig(t)
	res := r.run(t, r.python(`x = bytearray(b'x') * (100 << 20); print(len(x))`))
	verdict{job.Succeeded, job.EndedBy{Actor: job.ActorUserCode}, "", 0}.check(t, res)
	res = r.run(t, r.python(`raise MemoryError('really')`))
	verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, "oom", 1}.check(t, res)
	res = r.run(t, r.python(`import os; os._exit(137)`))
	verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, "runtime_error", 137}.check(t, res)
}

// A program gets no more processor time than its limit, however idle the machine
// is: a busy one gives it less, which proves nothing and fails nothing.
func TestCPULimit(t *testing.T) {
	takotest.RequireRoot(t)
	eachSupply(t, cPULimit)
}

func cPULimit(t *testing.T, r *rig) {
	const limit = 0.2
	res := r.run(t, r.python("import time\nt = time.monotonic()\nwhile time.monotonic() - t < 1.5: pass", func(l *job.Limits) { l.CPUs = limit }))
	share := res.Usage.CPUTime.Seconds() / res.Timing.Execution.Seconds()
	t.Logf("%.2f of a processor", share)
	if res.Status != job.Succeeded || share > 1.5*limit {
		t.Errorf("it got %.2f of a processor, and may have %v: %s", share, limit, show(res))
	}
}

// What a program has used is counted, and not what the sandbox cost.
func TestUsage(t *testing.T) { eachSupply(t, usage) }

func usage(t *testing.T, r *rig) {
	res := r.run(t, r.python(`
import time, os
hold = bytearray(b'x') * (100 << 20)
if os.fork() == 0:
    while time.process_time() < 0.15: pass
    os._exit(0)
os.wait()
while time.process_time() < 0.15: pass
`, func(l *job.Limits) { l.CPUs = 2 }))
	verdict{job.Succeeded, job.EndedBy{Actor: job.ActorUserCode}, "", 0}.check(t, res)
	between := func(what string, got, low, high int64) {
		if got < low || got > high {
			t.Errorf("%s is %d, want %d to %d", what, got, low, high)
		}
	}
	between("processor time in ms", res.Usage.CPUTime.Milliseconds(), 150, 900)
	between("memory in MiB", res.Usage.MaxRSS>>20, 50, 300)
	between("wall time in ms", res.Usage.Wall.Milliseconds(), 150, patience.Milliseconds())
	if tm := res.Timing; tm.Startup <= 0 || tm.Execution < res.Usage.Wall/2 || tm.Total < tm.Startup+tm.Execution {
		t.Errorf("the timing is %+v with a wall time of %v", tm, res.Usage.Wall)
	}
}
