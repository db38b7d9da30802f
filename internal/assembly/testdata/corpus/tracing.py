import sys
import threading

lines = []
def trace(frame, event, arg):
    if frame.f_code.co_filename == __file__:
        lines.append((event, frame.f_code.co_name, frame.f_lineno, type(arg).__name__))
    return trace
def traced(n):
    total = 0
    for i in range(n):
        total += i
    return total
sys.settrace(trace)
traced(2)
sys.settrace(None)
print(lines)
calls = []
sys.setprofile(lambda f, e, a: calls.append((e, f.f_code.co_name)))
sorted([3, 1])
sys.setprofile(None)
print(calls)
import cProfile, io, pstats
p = cProfile.Profile()
p.runcall(traced, 3)
print(sorted((k[2], v[0]) for k, v in pstats.Stats(p).stats.items()))
import trace as t
x = t.Trace(count=1, trace=0)
x.runfunc(traced, 2)
print(sorted((k[0], k[1], v) for k, v in x.results().counts.items() if k[0] == __file__))
import timeit
print(timeit.timeit('pass', number=10) < 1)
