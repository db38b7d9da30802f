import os
import threading
import time

children = []
try:
    while True:
        pid = os.fork()
        if pid == 0: time.sleep(60)
        children.append(pid)
except OSError as e:
    print(len(children), e)
for pid in children: os.kill(pid, 9)
for pid in children: os.waitpid(pid, 0)
threads, over = 0, threading.Event()
try:
    while True:
        threading.Thread(target=over.wait, daemon=True).start()
        threads += 1
except RuntimeError as e:
    print(threads, e)
over.set()
