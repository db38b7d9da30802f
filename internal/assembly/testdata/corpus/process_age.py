# The kernel's clocks go on while a snapshot lies on the disk.
import os
import time

ticks = os.sysconf('SC_CLK_TCK')
started = int(open('/proc/self/stat').read().rsplit(') ', 1)[1].split()[19]) / ticks
uptime = float(open('/proc/uptime').read().split()[0])
print('uptime', uptime)
print('boot', next(l for l in open('/proc/stat') if l.startswith('btime')).strip())
print('age', uptime - started)
print('monotonic', time.monotonic())
print('cache', os.stat('/tmp/.cache').st_mtime)
