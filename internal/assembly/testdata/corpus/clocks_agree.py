# The machine's start, its age and the present fit together.
import os
import time

uptime = float(open('/proc/uptime').read().split()[0])
boot = next(int(l.split()[1]) for l in open('/proc/stat') if l.startswith('btime'))
ticks = os.sysconf('SC_CLK_TCK')
started = int(open('/proc/self/stat').read().rsplit(') ', 1)[1].split()[19]) / ticks
print('the boot time fits', abs(boot + uptime - time.time()) < 2)
print('monotonic is the uptime', abs(time.monotonic() - uptime) < 1, abs(time.clock_gettime(time.CLOCK_BOOTTIME) - uptime) < 1)
print('it has started after the boot', 0 <= started <= uptime)
