import sys
import threading

def leave(): raise SystemExit(5)
def fail(): raise ValueError('in a thread')
for f in (leave, fail, sys.exit):
    t = threading.Thread(target=f, name=f.__name__)
    t.start()
    t.join()
print('the main thread goes on')
