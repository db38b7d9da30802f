# The kernel has files that tell about checkpoints. They say nothing of the one
# that was before.
import os
import select
import stat

for top in ('/proc/gvisor', '/proc/fs', '/proc/bus', '/proc/irq'):
    for d, dirs, files in os.walk(top):
        print(d, sorted(dirs), sorted(files))
        for name in sorted(files):
            st = os.stat(os.path.join(d, name))
            print(name, stat.filemode(st.st_mode), st.st_uid, st.st_size)
if os.path.exists('/proc/gvisor'):
    print(repr(open('/proc/gvisor/spec_environ').read()))
    fd = os.open('/proc/gvisor/checkpoint', os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(fd)
    print(poll.poll(50))
    try: print(os.read(fd, 100))
    except OSError as e: print(e)
    for flags in (os.O_WRONLY, os.O_RDWR):
        try: print(os.open('/proc/gvisor/checkpoint', flags))
        except OSError as e: print(e)
