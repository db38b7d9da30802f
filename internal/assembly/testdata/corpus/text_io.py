import io
import sys

sys.stdout.reconfigure(line_buffering=True, newline='\r\n')
print('a line')
sys.stdout.reconfigure(newline='\n')
sys.stdout = io.TextIOWrapper(open(1, 'wb', closefd=False), encoding='utf-16', write_through=True)
print('wide')
sys.stdout.flush()
sys.stdout = sys.__stdout__
with open('/tmp/lines', 'w', newline='') as f: f.write('a\r\nb\rc\n')
print(list(open('/tmp/lines')), open('/tmp/lines', newline='').read(), io.DEFAULT_BUFFER_SIZE)
print('to stderr', file=sys.stderr, flush=True)
print(*range(5), sep='\0', end='\x07\n')
print(open(sys.stdin.fileno(), closefd=False).read() == '', sys.stdin.detach())
