# The script as a module, as a file and as standard input of another Python.
import os
import subprocess
import sys

def show(*command, **more):
    p = subprocess.run(command, capture_output=True, text=True, **more)
    print(p.returncode, p.stdout, p.stderr)

print(__name__, sys.argv, os.getcwd(), flush=True)
if __name__ == '__main__' and len(sys.argv) == 1 and not sys.flags.isolated:
    show(sys.executable, '-I', '/code/main.py')
    show(sys.executable, '-c', 'import main', cwd='/code')
    show(sys.executable, '-m', 'main', 'x', cwd='/code')
    show(sys.executable, '-I', stdin=open(__file__))
    show(sys.executable, '/code')
    show(sys.executable, '-m', 'py_compile', '/code/main.py')
    show('/code/main.py') if os.access('/code/main.py', os.X_OK) else print('not executable')
