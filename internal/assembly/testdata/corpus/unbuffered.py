# Both streams into one pipe: the order is that of the calls.
import os
import sys

os.dup2(1, 2)
for n in range(20):
    sys.stdout.write(f'o{n} ')
    sys.stderr.write(f'e{n} ')
    os.write(1, b'w ')
    sys.stdout.buffer.write(b'b ')
print('no', 'newline', sep='-', end='', flush=False)
os.system('printf " child "')
sys.stdout.write('half a li')
sys.stderr.write('ne\n')
print(sys.stdout.write_through, sys.stdout.line_buffering)
sys.stdout.reconfigure(encoding='latin-1', errors='replace')
print('é☃')
