import multiprocessing as mp
import os

def square(x): return x * x
def put(q): q.put((os.getpid(), mp.current_process().name))
def crash(): os._exit(3)
def fail(): raise ValueError('in a child')

if __name__ == '__main__':
    print(mp.get_start_method(), mp.cpu_count(), mp.current_process().name, mp.parent_process())
    with mp.Pool(3) as p:
        print(p.map(square, range(10)), sorted(p.imap_unordered(square, range(4))))
    q = mp.Queue()
    p = mp.Process(target=put, args=(q,)); p.start(); print(q.get()[1], p.pid == p.ident); p.join(); print(p.exitcode)
    for f in (crash, fail):
        p = mp.Process(target=f); p.start(); p.join(); print(f.__name__, p.exitcode)
    v, a, l = mp.Value('i', 3), mp.Array('d', 4), mp.Lock()
    r, w = mp.Pipe()
    w.send({'a': 1}); print(r.recv(), v.value, a[:], l.acquire(timeout=1))
    with mp.Manager() as m:
        d = m.dict(a=1); d['b'] = 2; print(dict(d))
    print(mp.active_children())
