import os
import signal
import threading
import time

got = []
for s in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGRTMIN, signal.SIGRTMAX):
    signal.signal(s, lambda n, f: got.append((n, f.f_code.co_name, f.f_code.co_filename)))
    os.kill(os.getpid(), s)
print(got)
got.clear()
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(got) < 3:
    time.sleep(0.001)
signal.setitimer(signal.ITIMER_REAL, 0)
print(got[:3])
r, w = os.pipe()
os.set_blocking(w, False)
signal.set_wakeup_fd(w)
signal.raise_signal(signal.SIGUSR1)
print(os.read(r, 1))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
os.kill(os.getpid(), signal.SIGUSR2)
print(signal.sigpending(), signal.sigwait({signal.SIGUSR2}))
t = threading.Thread(target=lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
got.clear()
t.start(); t.join()
print(len(got), signal.siginterrupt(signal.SIGUSR1, True))
os.kill(os.getpid(), signal.SIGUSR2)
info = signal.sigtimedwait({signal.SIGUSR2}, 1)
print(info.si_signo, info.si_code, info.si_pid == os.getpid(), info.si_uid, signal.sigtimedwait({signal.SIGUSR2}, 0))
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt as e:
    print(repr(e))
