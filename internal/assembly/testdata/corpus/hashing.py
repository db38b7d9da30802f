# Hashes are random, so the order of a set is none that a program may rely on.
import subprocess
import sys

print(sys.flags.hash_randomization, 'PYTHONHASHSEED' in __import__('os').environ, hash(1), hash(2.5), hash((1, 2)), hash(None) is not None)
fixed = {'': 0}
print(hash('') == fixed[''], hash('a') not in (0, -1), hash('a') == hash(b'a'))
children = {subprocess.run([sys.executable, '-c', 'print(hash("a"))'], capture_output=True).stdout for _ in range(3)}
print(len(children), b'%d\n' % hash('a') in children)
import hashlib
print(hashlib.sha256(b'x').hexdigest(), sorted(hashlib.algorithms_available)[:8])
