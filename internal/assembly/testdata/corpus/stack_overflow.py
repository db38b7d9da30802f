import sys
sys.setrecursionlimit(10**7)
print('deeper')
def f(): return sorted([1, 2], key=lambda _: f())
f()
