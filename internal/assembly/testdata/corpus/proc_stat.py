import os

fields = open('/proc/self/stat').read().rsplit(') ', 1)
print(fields[0].split('(')[1], int(fields[0].split(' ')[0]) == os.getpid())
names = ('state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice '
         'num_threads itrealvalue starttime vsize rss rsslim startcode endcode startstack kstkesp kstkeip signal blocked sigignore '
         'sigcatch wchan nswap cnswap exit_signal processor rt_priority policy delayacct guest cguest start_data end_data start_brk '
         'arg_start arg_end env_start env_end exit_code').split()
counted = {'utime', 'stime', 'starttime', 'rss', 'minflt', 'majflt'}
for name, value in zip(names, fields[1].split()):
    print(name, 'counted' if name in counted else int(value) == os.getpid() if name in ('pgrp', 'session') else value)
size, resident, *rest = open('/proc/self/statm').read().split()
print(size, int(resident) < 10000, rest)
