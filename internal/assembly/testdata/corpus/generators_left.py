# What is still alive when the interpreter ends.
import sys
import threading
import weakref

class Noisy:
    def __init__(self, name): self.name = name
    def __del__(self): print('gone', self.name, sys is not None, sys.is_finalizing() if sys else None)
a, b = Noisy('a'), Noisy('b')
a.cycle = a
def generator():
    try: yield 1
    finally: print('the generator is closed')
g = generator(); next(g)
weakref.finalize(b, print, 'finalised')
sys.unraisablehook = lambda u: print('unraisable', type(u.exc_value).__name__, u.err_msg)
class Bad:
    def __del__(self): raise ValueError('in a finaliser')
Bad()
bad = Bad()
sys.unraisablehook = sys.__unraisablehook__
threading.Thread(target=lambda: None).start()
sys.stdout.write('the last line without an end')
