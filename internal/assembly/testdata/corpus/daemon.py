# What a program leaves behind ends with it.
import os
import signal
import time

r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in (signal.SIGTERM, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
        os.write(1, b'from the daemon\n')
        os.write(w, b'x')
        time.sleep(60)
    os._exit(0)
os.read(r, 1)
stopped = os.fork()
if stopped == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(7)
print(os.WIFSTOPPED(os.waitpid(stopped, os.WUNTRACED)[1]))
os.kill(stopped, signal.SIGCONT)
print(os.waitpid(stopped, 0)[1] >> 8)
open('/output/left', 'w').write('behind')
