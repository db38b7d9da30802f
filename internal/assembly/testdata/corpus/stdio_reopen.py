# What a program can do with its streams by name.
import os

print('first', flush=True)
for name in ('/dev/stdout', '/dev/stderr', '/proc/self/fd/1', '/dev/fd/2'):
    with open(name, 'w') as f:
        print('by', name, file=f)
for name in ('/dev/stdin', '/dev/fd/0', '/proc/self/fd/0', '/dev/null'):
    with open(name) as f:
        print(name, repr(f.read()))
try:
    os.open('/proc/self/fd/3', os.O_RDONLY)
except OSError as e:
    print(e)
try:
    os.open('/dev/tty', os.O_RDWR)
except OSError as e:
    print(e)
fd = os.dup(1)
print(fd)
os.write(fd, b'through a copy\n')
os.close(fd)
r, w = os.pipe()
print(r, w, os.open('/code/main.py', os.O_RDONLY))
