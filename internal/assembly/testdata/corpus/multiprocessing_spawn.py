import multiprocessing as mp
import os
import sys

class Local:
    def __init__(self, v): self.v = v
def child(q, o):
    q.put((o.v, __name__, sys.argv, __file__, sys.modules['__main__'].__name__, mp.current_process().name))

if __name__ == '__main__':
    for method in ('spawn', 'forkserver'):
        context = mp.get_context(method)
        q = context.Queue()
        p = context.Process(target=child, args=(q, Local(3)))
        p.start(); print(method, q.get()); p.join(); print(p.exitcode)
    with mp.get_context('spawn').Pool(1) as pool: print(pool.map(abs, [-1, 2]))
