import os
import subprocess
import sys

run = subprocess.run
print(run(['echo', 'hello'], capture_output=True))
print(run('echo $0 $PATH; cat; exit 3', shell=True, input=b'in', stdout=-1))
print(run([sys.executable, '-c', 'import sys; print(sys.argv, sys.stdin.read(), sorted(__import__("os").listdir("/proc/self/fd")), __import__("os").getppid() > 1)'],
          capture_output=True, text=True))
print(run([sys.executable, __file__ + 'x'], capture_output=True, text=True))
run(['sh', '-c', 'echo inherited; echo err >&2; ulimit -a; umask; pwd; id'])
try: run(['sleep', '30'], timeout=0.05)
except subprocess.TimeoutExpired as e: print(e.cmd)
try: run(['no-such-program'])
except OSError as e: print(e)
try: run(['false'], check=True)
except subprocess.CalledProcessError as e: print(e)
p = subprocess.Popen(['cat'], stdin=-1, stdout=-1, start_new_session=True)
print(os.getsid(p.pid) == p.pid, p.communicate(b'x'), p.pid > os.getpid())
print(os.popen('echo popen').read(), os.system('exit 5'))
print(run(['env'], stdout=-1).stdout.decode())
print(run([sys.executable], stdin=0, capture_output=True), run([sys.executable, '-c', 'print(input())'], capture_output=True, text=True).stderr)
