import atexit
import threading
import time

ready = threading.Event()
def daemon():
    ready.set()
    while True: time.sleep(0.001)
def last():
    threading.main_thread().join()
    print('a thread that outlives main')
threading.Thread(target=daemon, daemon=True).start()
ready.wait()
threading.Thread(target=last).start()
threading._register_atexit(print, 'when threads are joined')
atexit.register(print, 'at exit')
print('main ends')
