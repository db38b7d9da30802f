"""Runs a command for as long as standard input is open.

It stands between a process and its server: when the process ends, however that
is, the pipe closes, and the server is stopped. It is run as a script, alone.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading


def _with_parent() -> None:
    """In the child: ends with the keeper, should that be killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def main() -> int:
    """The command is in the arguments; its code is answered."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the pipe says when
    before = _with_parent if sys.platform == "linux" else None
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=before, start_new_session=True)

    def gone() -> None:
        while os.read(0, 4096):
            pass
        # It lets what runs go on for 30 s and then leaves nothing behind. A second
        # SIGTERM would end it at once, and leave control groups to its next start.
        for number, patience in ((signal.SIGTERM, 40.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
            if child.poll() is not None:
                return
            child.send_signal(number)
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                pass

    threading.Thread(target=gone, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
