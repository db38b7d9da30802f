# Exceptions of all kinds, as the interpreter prints them.
import sys
import traceback

def show(f):
    try:
        f()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        print('-' * 20, traceback.format_exc() is not None, file=sys.stderr)

class Odd(Exception):
    def __str__(self): raise RuntimeError('no words')

class Quiet(Exception):
    def __repr__(self): return ''
    def __str__(self): return ''

def recursive(n): return recursive(n + 1)
def raising(e): raise e
def tabs():
	x = (1,
		2 / 0,
		3)
	return x

show(lambda: raising(Odd()))
show(lambda: raising(Quiet()))
show(lambda: raising(KeyError('k')))
show(lambda: raising(UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'bad')))
show(lambda: exec('def f(:\n  pass'))
show(lambda: exec('if 1:\npass'))
show(lambda: exec(compile('\n\n1/0\n', '/code/main.py', 'exec')))
show(lambda: eval('1 +'))
show(lambda: int('x' * 30))
show(lambda: raising(SystemError('of ours')))
show(lambda: raising(StopIteration(3)))
show(lambda: (yield_from(), 1))
show(tabs)
show(lambda: None.attribute)
show(lambda: sys.stdot)
show(lambda: undefinedd)
show(lambda: recursive(0))
