import os
import stat

for path in ('/code', '/code/main.py', '/input', '/input/data.json', '/output', '/tmp', '/app', '/dev/shm', '/tmp/.cache',
             '/tmp/.cache/matplotlib', '/', '/home/sandbox', '/dev', '/sys', '/.tako', '/.tako/init'):
    st = os.stat(path)
    print(path, stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, st.st_dev, st.st_blksize,
          st.st_size if path != '/dev' else '', os.access(path, os.R_OK), os.access(path, os.W_OK), os.access(path, os.X_OK))
    if stat.S_ISDIR(st.st_mode) and path not in ('/', '/dev'): print(sorted(os.listdir(path)))
    f = os.statvfs(path)
    print(f.f_bsize, f.f_blocks, f.f_files, f.f_flag, f.f_namemax, f.f_blocks - f.f_bfree if path != '/dev' else '', f.f_files - f.f_ffree)
st = os.stat(__file__)
print(stat.S_ISREG(st.st_mode), st.st_size == len(open(__file__, 'rb').read()), st.st_blocks)
for call in (lambda: os.unlink(__file__), lambda: open(__file__, 'a'), lambda: os.chmod(__file__, 0o777), lambda: open('/code/x', 'w'),
             lambda: os.mkfifo('/code/fifo'), lambda: os.rename(__file__, '/code/y'), lambda: os.link(__file__, '/tmp/l'),
             lambda: os.listxattr(__file__), lambda: os.utime(__file__)):
    try: print(call())
    except OSError as e: print(e)
print(os.path.realpath(__file__), sorted(os.listdir('/code')))
with open(__file__, 'rb') as f:
    print(f.seekable(), f.seek(0, 2), f.tell() == st.st_size, f.seek(0), f.readline())
import mmap
with open(__file__, 'rb') as f: print(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)[:14])
