# Everything that user code can think of to find what has held it. What
# answers is listed; nothing does.
import ctypes
import gc
import os
import re
import stat
import sys

reached = []
libc = ctypes.CDLL(None, use_errno=True)

def attempt(name, f):
    try:
        got = f()
    except (OSError, ValueError):
        return
    if got not in (None, b'', [], False, -1):
        reached.append((name, got))

def descriptors():
    for fd in range(3, 1024):
        attempt(f'stat {fd}', lambda: os.fstat(fd))
        attempt(f'write to {fd}', lambda: os.write(fd, b'\x00' * 16))
        attempt(f'read from {fd}', lambda: os.set_blocking(fd, False) or os.read(fd, 100))

def own_memory():
    # Patterns that do not match themselves.
    words = re.compile(b't[a]kovm|r[u]nsc|g[v]isor[.]dev|s[n]apshot of|main[.]py[.]fifo|r[e]stored')
    with open('/proc/self/mem', 'rb', buffering=0) as memory:
        for line in open('/proc/self/maps').readlines():
            begin, end = (int(x, 16) for x in line.split()[0].split('-'))
            if 'w' not in line.split()[1] or end - begin > 64 << 20:
                continue
            try:
                data = os.pread(memory.fileno(), end - begin, begin)
            except OSError:
                continue
            for match in words.finditer(data):
                reached.append((line, data[match.start() - 50:match.end() + 50]))
            del data

def objects():
    frame = sys._getframe(1)
    if frame.f_back is not None:
        reached.append(frame.f_back)
    names = (0, 1, 2, '<stdin>', '<stdout>', '<stderr>')
    for o in gc.get_objects():
        if type(o).__name__ in ('FileIO', 'socket', 'BufferedReader') and getattr(o, 'name', None) not in names:
            reached.append(repr(o))
        if isinstance(o, type(frame)) and o not in (frame, sys._getframe()):
            reached.append(repr(o))

def names():
    for top, dirs, files in os.walk('/'):
        if top == '/':
            dirs.remove('usr')
            dirs.remove('proc')
        for name in files + dirs:
            mode = os.lstat(os.path.join(top, name)).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                reached.append(os.path.join(top, name))
    if not stat.S_ISREG(os.stat('/code/main.py').st_mode) or os.listdir('/code') != ['main.py']:
        reached.append(os.listdir('/code'))
    for f in (lambda: os.mkfifo('/code/main.py'), lambda: os.unlink('/code/main.py'), lambda: os.mkfifo('/code/x'),
              lambda: os.rename('/code', '/tmp/code'), lambda: os.open('/code/main.py', os.O_WRONLY | os.O_NONBLOCK)):
        attempt('/code', lambda: f() or 'done')
    for path in ('/.tako/init', '/.tako'):
        for how in (os.O_RDONLY, os.O_WRONLY):
            attempt(path, lambda: os.read(os.open(path, how), 4))
    attempt('init again', lambda: os.posix_spawn('/.tako/init', ['init'], {}))

def init_files():
    tids = os.listdir('/proc/1/task')
    for base in ['/proc/1'] + [f'/proc/1/task/{t}' for t in tids] + [f'/proc/{t}' for t in tids]:
        for name in ('mem', 'maps', 'smaps', 'environ', 'auxv', 'io', 'pagemap', 'stack', 'syscall', 'fd/3', 'fd/4', 'exe', 'root/etc/passwd'):
            attempt(f'{base}/{name}', lambda: os.read(os.open(f'{base}/{name}', os.O_RDONLY), 64))
        for name in ('comm', 'oom_score_adj', 'mem', 'fd/3', 'clear_refs', 'uid_map', 'setgroups', 'coredump_filter'):
            attempt(f'write {base}/{name}', lambda: os.write(os.open(f'{base}/{name}', os.O_WRONLY), b'0'))
        for name in ('fd', 'map_files', 'cwd', 'root'):
            attempt(f'{base}/{name}/', lambda: os.listdir(f'{base}/{name}'))
        for name in ('exe', 'cwd', 'root', 'fd/0', 'fd/3'):
            attempt(f'{base}/{name}', lambda: os.readlink(f'{base}/{name}'))
            attempt(f'O_PATH {base}/{name}', lambda: os.open(f'{base}/{name}', os.O_PATH))

class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]

def init_calls():
    buffer = ctypes.create_string_buffer(16)
    here, there = Vector(ctypes.addressof(buffer), 16), Vector(0x400000, 16)
    for tid in map(int, os.listdir('/proc/1/task')):
        for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
            attempt(f'ptrace {tid}', lambda: libc.ptrace(request, tid, 0, 0) == 0)
        pidfd = libc.syscall(434, tid, 0)
        if pidfd >= 0:
            for fd in range(16):
                attempt(f'pidfd_getfd {tid} {fd}', lambda: libc.syscall(438, pidfd, fd, 0))
            attempt(f'pidfd_send_signal {tid}', lambda: libc.syscall(424, pidfd, 9, 0, 0) == 0)
            attempt(f'setns {tid}', lambda: libc.setns(pidfd, 0x00020000) == 0)
            os.close(pidfd)
        for number in (310, 311):  # process_vm_readv, process_vm_writev
            attempt(f'{number} {tid}', lambda: libc.syscall(number, tid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0)
        for sig in range(1, 65):
            attempt(f'kill {tid} {sig}', lambda: libc.kill(tid, sig) == 0 or libc.tgkill(1, tid, sig) == 0)
        for resource in range(16):
            attempt(f'prlimit {tid}', lambda: libc.prlimit(tid, resource, None, None) == 0)
        attempt(f'affinity {tid}', lambda: os.sched_setaffinity(tid, {0}) is None)

objects()
descriptors()
own_memory()
names()
init_files()
init_calls()
print(reached)
with open('/output/after', 'w') as f:
    f.write('all of it')
