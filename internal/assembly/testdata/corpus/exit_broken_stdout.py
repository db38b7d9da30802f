import os
import sys
os.close(1)
os.write(2, b'closed\n')
try:
    print('into nothing')
except OSError as e:
    print(e, file=sys.stderr)
sys.stdout = None
print('nobody hears')
