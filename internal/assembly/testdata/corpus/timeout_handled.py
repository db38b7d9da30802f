import signal
import sys
import time
signal.signal(signal.SIGTERM, lambda n, f: (print('asked to end'), sys.exit(3)))
print('waiting')
time.sleep(60)
