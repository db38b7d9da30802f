import fileinput
import os
import select
import sys

print(os.read(0, 10), sys.stdin.read(), sys.stdin.readline(), list(sys.stdin), sys.stdin.buffer.read())
print(select.select([0], [], [], 0), sys.stdin.buffer.raw.read(3), list(fileinput.input()))
try:
    os.write(0, b'x')
except OSError as e:
    print(e)
try:
    print(input('a prompt: '))
except EOFError as e:
    print(repr(e))
import getpass
try:
    getpass.getpass()
except BaseException as e:
    print(repr(e))
input()
