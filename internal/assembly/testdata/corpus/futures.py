import concurrent.futures as cf
import os
import threading

def square(x): return x * x
def fail(): raise LookupError('there')
def die(): os._exit(1)

if __name__ == '__main__':
    with cf.ThreadPoolExecutor() as e:
        print(e._max_workers, list(e.map(square, range(5))), e.submit(fail).exception())
    with cf.ProcessPoolExecutor(2) as e:
        print(list(e.map(square, range(5))), repr(e.submit(fail).exception()))
        try: e.submit(die).result()
        except Exception as x: print(type(x), x)
