import os
import signal
import subprocess

r, w = os.pipe()
os.close(r)
try:
    os.write(w, b'x')
except BrokenPipeError as e:
    print(e)
# Python gives its children the default back.
code = subprocess.run(['/bin/sh', '-c', 'kill -PIPE $$; echo survived'], capture_output=True)
print(code.returncode, code.stdout)
code = subprocess.run(['/bin/sh', '-c', 'kill -PIPE $$; echo survived'], capture_output=True, restore_signals=False)
print(code.returncode, code.stdout)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.write(w, b'x')
