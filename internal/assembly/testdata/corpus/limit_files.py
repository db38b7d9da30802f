import os
import resource

held = []
try:
    while True: held.append(open('/dev/null'))
except OSError as e:
    print(len(held), e)
del held
f = open('/tmp/large', 'wb', buffering=0)
try: f.truncate(101 << 20)
except OSError as e: print(e)
size = 0
try:
    while True: size += f.write(b'x' * (1 << 20))
except OSError as e:
    print(size, e)
os.unlink('/tmp/large'); f.close()
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)); print(resource.getrlimit(resource.RLIMIT_NOFILE))
try: resource.setrlimit(resource.RLIMIT_NOFILE, (17, 17))
except ValueError as e: print(e)
print(os.statvfs('/tmp').f_bfree, os.statvfs('/dev/shm').f_bfree)
