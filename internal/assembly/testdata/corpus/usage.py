import os
import resource
import time

for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN, resource.RUSAGE_THREAD):
    u = resource.getrusage(who)
    print(who, 0 <= u.ru_utime + u.ru_stime < 2, u.ru_maxrss < 60_000, u.ru_nswap, u.ru_msgsnd, u.ru_nsignals, u.ru_ixrss, u.ru_inblock < 10**6)
begin = time.process_time()
while time.process_time() - begin < 0.05: pass
u = resource.getrusage(resource.RUSAGE_SELF)
print(u.ru_utime + u.ru_stime >= 0.04, abs(u.ru_utime + u.ru_stime - time.process_time()) < 0.1)
hold = bytearray(b'x') * (50 << 20)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(50_000 < grown < 120_000)
