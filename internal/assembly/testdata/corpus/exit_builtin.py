import sys
print(exit, quit, type(exit).__module__)
try:
    exit(4)
except SystemExit as e:
    print(repr(e), sys.stdin.closed)
quit('with a message')
