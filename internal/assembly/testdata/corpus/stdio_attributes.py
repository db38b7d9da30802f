import os
import stat
import sys

for name in ('stdin', 'stdout', 'stderr', '__stdin__', '__stdout__', '__stderr__'):
    f = getattr(sys, name)
    print(name, f.name, f.mode, f.encoding, f.errors, f.newlines, f.line_buffering, f.write_through, f.fileno(), f.isatty(),
          f.closed, f.readable(), f.writable(), f.seekable())
    print(type(f), type(f.buffer), type(getattr(f.buffer, 'raw', None)), f.buffer.name, f.buffer.mode, f._CHUNK_SIZE)
print(sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)
import fcntl
for fd in (0, 1, 2):
    st = os.fstat(fd)
    print(fd, stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_nlink, st.st_rdev, st.st_blksize,
          os.get_inheritable(fd), os.get_blocking(fd), oct(fcntl.fcntl(fd, fcntl.F_GETFL)), os.readlink(f'/proc/self/fd/{fd}'))
    if fd:
        print(fcntl.fcntl(fd, 1032), os.fpathconf(fd, 'PC_PIPE_BUF'), st.st_ino)  # F_GETPIPE_SZ
    for call in (lambda: os.lseek(fd, 0, os.SEEK_CUR), lambda: os.ttyname(fd), lambda: os.get_terminal_size(fd)):
        try:
            print(call())
        except OSError as e:
            print(e)
