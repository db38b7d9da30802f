# All of /proc/self that says the same of two processes that are the same.
import os
import re

def show(name):
    try:
        with open('/proc/self/' + name, 'rb') as f:
            print(name, f.read())
    except OSError as e:
        print(name, e)

print(sorted(os.listdir('/proc/self')))
for name in ('cmdline', 'comm', 'cgroup', 'coredump_filter', 'gid_map', 'uid_map', 'setgroups', 'limits', 'mountinfo', 'mounts',
             'oom_score', 'oom_score_adj', 'mem', 'clear_refs', 'wchan', 'stack', 'syscall', 'personality'):
    show(name)
print(sorted(open('/proc/self/environ').read().split('\0')))
print(open('/proc/self/environ').read().split('\0'))
# VmSize and VmData count the pages of gVisor's trampolines ([usertrap] in maps), which come when calls are seen to be frequent.
print(re.sub(r'(VmSize|VmData|VmRSS|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):\s*\d+', r'\1', open('/proc/self/status').read()).replace('id:\t%d\n' % os.getpid(), 'id:\tmine\n'))
for name in ('exe', 'cwd', 'root'): print(name, os.readlink('/proc/self/' + name))
for name in sorted(os.listdir('/proc/self/ns')): print(name, os.readlink('/proc/self/ns/' + name))
mine = str(os.getpid())
print(os.listdir('/proc/self/task') == [mine], os.readlink('/proc/self') == mine, os.readlink('/proc/thread-self') == f'{mine}/task/{mine}')
print(open(f'/proc/self/task/{mine}/children').read(), sorted(os.listdir('/proc/self/net')))
for fd in sorted(os.listdir('/proc/self/fdinfo')):
    try: print(fd, open('/proc/self/fdinfo/' + fd).read())
    except OSError as e: print(fd, e.strerror)
