import atexit
import sys

class Last:
    def __del__(self): print('a finaliser')
last = Last()
atexit.register(print, 'first in, last out')
def failing(): raise KeyError('at exit')
def leaving(): sys.exit(77)
atexit.register(failing)
atexit.register(leaving)
atexit.register(print, 'last in, first out')
import weakref
weakref.finalize(last, print, 'finalize')
print('end')
