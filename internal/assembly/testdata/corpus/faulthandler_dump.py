import faulthandler
import signal
import sys
import tempfile

print(faulthandler.is_enabled())
def inner():
    with tempfile.TemporaryFile('w+') as f:
        faulthandler.dump_traceback(f)
        f.seek(0)
        for line in f:
            print(' '.join('0x' if w.startswith('0x') else w for w in line.split()))
inner()
faulthandler.enable(); print(faulthandler.is_enabled())
faulthandler.register(signal.SIGUSR1, file=sys.stdout, all_threads=False)
signal.raise_signal(signal.SIGUSR1)
faulthandler.dump_traceback_later(0.02, file=sys.stdout, exit=False)
faulthandler.cancel_dump_traceback_later()
faulthandler._sigabrt()
