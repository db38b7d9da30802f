import os
import stat

# /dev is made in an order that is not the same twice.
for top in ('/etc', '/home', '/run', '/var', '/sys', '/.tako', '/tmp', '/app', '/output', '/input'):
    for d, dirs, files in os.walk(top):
        dirs.sort()
        for name in ['.'] + sorted(files):
            path = os.path.normpath(os.path.join(d, name))
            st = os.lstat(path)
            print(path, stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_nlink, st.st_ino, st.st_dev, st.st_blocks)
for d, dirs, files in os.walk('/dev'):
    for name in sorted(dirs + files):
        st = os.lstat(os.path.join(d, name))
        print(d, name, stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_rdev, st.st_nlink)
print(sorted(os.listdir('/')), sum(len(f) for _, _, f in os.walk('/usr/lib/python3')) > 0)
for path in ('/dev/zero', '/dev/full', '/dev/random', '/dev/urandom', '/dev/null'):
    with open(path, 'rb', buffering=0) as f: print(path, len(f.read(8)))
try: open('/dev/full', 'wb', buffering=0).write(b'x')
except OSError as e: print(e)
os.chdir('/app'); open('f', 'w').write('x' * 5000); os.truncate('f', 100); os.rename('f', 'g'); os.symlink('g', 'l'); os.link('g', 'h')
print([(n, os.lstat(n).st_size, os.lstat(n).st_nlink, os.lstat(n).st_ino) for n in sorted(os.listdir('.'))])
