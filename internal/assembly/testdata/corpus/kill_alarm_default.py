import signal
import time
signal.alarm(1)
print(signal.alarm(1))
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(30)
