# What is mapped, how large and with what permissions; where it is differs, the
# stack above or below the libraries.
import os
import re

mapped = []
for line in open('/proc/self/maps'):
    span, perms, offset, device, inode, *path = line.split()
    begin, end = (int(x, 16) for x in span.split('-'))
    name = path[0] if path else ''
    mapped.append((name, perms, offset, device, inode, 0 if name == '[heap]' else end - begin))
for m in sorted(mapped): print(*m)
names = {l.split()[5] for l in open('/proc/self/maps') if len(l.split()) > 5}
for name in sorted(n for n in names if n.startswith('/')):
    st = os.stat(name)
    print(name, st.st_ino, st.st_dev, st.st_size)
smaps = open('/proc/self/smaps').read()
print(sorted(set(re.findall(r'^(\w+):', smaps, re.M))), sorted(set(re.findall(r'VmFlags:.*', smaps))))
