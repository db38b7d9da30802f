import json
import os
import time

host = json.load(open('/input/data.json'))['now']
print(abs(time.time() - host) < 5, time.gmtime().tm_year == time.gmtime(host).tm_year)
for name in sorted(n for n in dir(time) if n.startswith('CLOCK_')):
    clock = getattr(time, name)
    try:
        a = time.clock_gettime_ns(clock); b = time.clock_gettime_ns(clock)
        print(name, clock, b >= a, time.clock_getres(clock))
    except OSError as e:
        print(name, clock, e)
def both(f):
    a = f(); time.sleep(0.02); return f() - a
for f in (time.time, time.monotonic, time.perf_counter, lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
          lambda: float(open('/proc/uptime').read().split()[0]), lambda: os.times().elapsed):
    print(0 <= both(f) < 1)
for name in ('monotonic', 'perf_counter', 'process_time', 'thread_time', 'time'): print(time.get_clock_info(name))
print(0 < time.process_time() < 2, 0 < time.thread_time() < 2, time.monotonic() > 0, os.times().user < 2, os.times().children_user)
last = time.time_ns()
for _ in range(20_000):
    now = time.time_ns()
    assert now >= last
    last = now
# The clocks of the kernel and of the vDSO are one.
import ctypes
libc, ts = ctypes.CDLL(None), (ctypes.c_long * 2)()
for clock in (0, 1):
    before = time.clock_gettime(clock)
    libc.syscall(228, clock, ts)
    print(before <= ts[0] + ts[1] / 1e9 <= time.clock_gettime(clock) + 1e-3)
print(abs(os.stat('/code').st_ctime - time.time()) < 5)
