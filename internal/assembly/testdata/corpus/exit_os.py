import atexit
import os
import sys
atexit.register(print, 'never')
sys.stdout.write('written at once, since it is unbuffered')
sys.stdout.buffer.write(b' as well\n')
try:
    os._exit(9)
finally:
    print('never')
