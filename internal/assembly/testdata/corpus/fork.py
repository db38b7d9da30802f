# Children, grandchildren and what init does with them. Which numbers they get
# depends on when init's threads came up, which is not the same twice.
import os
import sys

me = os.getpid()
print(os.getppid(), os.getpgid(0) == me == os.getsid(0), os.getpgid(1), os.getsid(1))
pids = []
for n in range(3):
    pid = os.fork()
    if pid == 0:
        print('child', n, os.getppid() == me, os.getpgid(0) == me, flush=True)
        os._exit(n)
    pids.append(pid)
    print(os.waitpid(pid, 0) == (pid, n << 8))
print(sorted(pids) == pids, me < pids[0] and pids[2] < me + 9)
# An orphan goes to init.
r, w = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() != 1: pass
        os.write(w, b'%d' % os.getppid())
    os._exit(0)
os.wait()
print(os.read(r, 10))
try:
    os.wait()
except ChildProcessError as e:
    print(e)
code = 'import os; print(os.getppid() > 1, flush=True); os.kill(os.getpid(), 9)'
pid, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, ['python', '-c', code]), 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime > 0)
pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 4'], {})
print(os.waitpid(pid, 0)[1])
