import os
import sys
for n in range(3000):
    print(f'{n:06}', 'x' * 60)
    if n % 3 == 0: print('e' * 40, n, file=sys.stderr)
os.write(1, bytes(range(256)) * 300)
