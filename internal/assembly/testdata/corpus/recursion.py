import sys
def f(n):
    global deepest
    deepest = n
    return f(n + 1)
try:
    f(0)
except RecursionError as e:
    print(deepest, e)
sys.setrecursionlimit(5000)
try:
    f(0)
except RecursionError as e:
    print(deepest, e)
class A:
    def __repr__(self): return repr(self)
try: repr(A())
except RecursionError as e: print(e)
sys.setrecursionlimit(1000)
f(0)
