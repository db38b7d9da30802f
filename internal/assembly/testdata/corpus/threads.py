import queue
import threading
import time

print(threading.current_thread() is threading.main_thread(), threading.main_thread().name, threading.active_count(), len(threading.enumerate()))
print(threading.main_thread().native_id == __import__('os').getpid(), threading.main_thread().daemon, threading.stack_size())
q, lock, total = queue.Queue(), threading.Lock(), 0
def work():
    global total
    for _ in range(1000):
        with lock: total += 1
    q.put(threading.get_native_id())
ts = [threading.Thread(target=work) for _ in range(5)]
for t in ts: t.start()
for t in ts: t.join()
print(total, q.qsize(), [t.name for t in ts])
local = threading.local()
local.x = 1
e, c, b = threading.Event(), threading.Condition(), threading.Barrier(2)
t = threading.Timer(0.01, e.set)
t.start()
print(e.wait(5), hasattr(local, 'x'))
t = threading.Thread(target=b.wait)
t.start(); b.wait(5); t.join()
with c: print(c.wait(0.001), threading.excepthook is threading.__excepthook__)
print(sum(1 for l in open('/proc/self/status') if l.startswith('Threads:\t1\n')) == 1)
