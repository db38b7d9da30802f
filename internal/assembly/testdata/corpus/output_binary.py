import sys
sys.stdout.buffer.write(bytes(range(256)))
print('\ud800'.encode('utf-8', 'surrogatepass'), '\U0001f600 é \x00 \x1b[2J \r\n')
sys.stderr.buffer.write(b'\xff\xfe\x00\r\n')
print('\udcff lone', file=sys.stderr)
print('\udcff lone')
