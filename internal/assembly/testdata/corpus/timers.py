import os
import select
import sched
import threading
import time

def took(f, least, most=2.0):
    a = time.monotonic(); f(); d = time.monotonic() - a
    return least <= d < most
print(took(lambda: time.sleep(0.03), 0.03), took(lambda: select.select([], [], [], 0.02), 0.02))
print(took(lambda: threading.Event().wait(0.02), 0.02))
p = select.poll(); e = select.epoll()
print(took(lambda: p.poll(20), 0.019), took(lambda: e.poll(0.02), 0.019))
s = sched.scheduler(); s.enter(0.01, 1, print, ('scheduled',)); s.run()
import ctypes
libc = ctypes.CDLL(None)
fd = libc.timerfd_create(1, 0)
spec = (ctypes.c_long * 4)(0, 10_000_000, 0, 20_000_000)
print(libc.timerfd_settime(fd, 0, spec, None), took(lambda: print(len(os.read(fd, 8))), 0.01))
lock = threading.Lock(); lock.acquire()
print(took(lambda: lock.acquire(timeout=0.02), 0.02))
