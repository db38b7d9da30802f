# Nothing but the three streams is open, and the next descriptor is 3.
import os
import resource

for fd in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
    try:
        st = os.fstat(fd)
    except OSError:
        continue
    print(fd, os.readlink(f'/proc/self/fd/{fd}'), oct(st.st_mode))
print(os.open('/', os.O_RDONLY), os.listdir('/proc/self/fd'))
for fd in range(3, 64):
    for call in (lambda: os.read(fd, 1) if fd > 3 else b'', lambda: os.write(fd, b'x'), lambda: os.listdir(fd) if fd > 3 else 0):
        try: call(); print(fd, 'answers')
        except OSError: pass
print(os.listdir('/dev/fd'))
