import ctypes
import fcntl
import mmap
import os
import select
from multiprocessing import shared_memory

libc = ctypes.CDLL(None, use_errno=True)
m = shared_memory.SharedMemory('named', True, 5000); m.buf[:2] = b'hi'; print(bytes(m.buf[:2]), os.listdir('/dev/shm'), m.size); m.close(); m.unlink()
fd = os.memfd_create('x'); os.write(fd, b'memory'); print(fd, os.pread(fd, 3, 1), os.readlink(f'/proc/self/fd/{fd}'))
e = os.eventfd(3); print(e, os.eventfd_read(e))
p = os.pidfd_open(os.getpid()); print(p, select.select([p], [], [], 0)[0])
with open('/tmp/lock', 'w') as a, open('/tmp/lock') as b:
    fcntl.flock(a, fcntl.LOCK_EX)
    try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as x: print(x)
    fcntl.lockf(a, fcntl.LOCK_EX)
anonymous = mmap.mmap(-1, 1 << 20); anonymous[:3] = b'abc'; print(anonymous[:3], anonymous.madvise(mmap.MADV_DONTNEED))
print(libc.shmget(0, 4096, 0o1600), libc.semget(0, 1, 0o1600), libc.msgget(0, 0o1600))
i = libc.inotify_init(); print(i, libc.inotify_add_watch(i, b'/tmp', 0x100)); open('/tmp/seen', 'w').close(); print(b'seen' in os.read(i, 100))
ep = select.epoll(); r, w = os.pipe(); ep.register(r, select.EPOLLIN); os.write(w, b'x'); print(ep.fileno(), ep.poll(0) == [(r, 1)])
os.mkfifo('/tmp/fifo'); f = os.open('/tmp/fifo', os.O_RDWR); os.write(f, b'y'); print(os.read(f, 1), f)
import pty, tty
try:
    master, slave = os.openpty(); print(os.ttyname(slave), os.isatty(slave)); os.write(master, b'line\n'); print(os.read(slave, 10))
except OSError as x: print(x)
print(os.sendfile(w, os.open('/code/main.py', os.O_RDONLY), 0, 10), os.copy_file_range if hasattr(os, 'copy_file_range') else '')
sem = ctypes.create_string_buffer(32); print(libc.sem_init(sem, 0, 1), libc.sem_trywait(sem), libc.sem_trywait(sem))
