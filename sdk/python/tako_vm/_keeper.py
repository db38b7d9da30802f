"""Runs a command for as long as standard input is open.

It stands between a process and its server: when the process ends, however that
is, the pipe closes, and the server is stopped. It is run as a script, alone.

It has one thread. Linux tells a child of its parent's death once for every thread
of the parent that it falls to, and a second SIGTERM would end the server at once,
with its run directory left until the next start.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys


def _with_parent() -> None:
    """In the child: ends with the keeper, should that be killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _stop(child: "subprocess.Popen[bytes]") -> int:
    """Ends the command. It lets what runs go on for 30 s and then leaves nothing
    behind; a second SIGTERM leaves control groups to its next start."""
    for number, patience in ((signal.SIGTERM, 40.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        if child.poll() is not None:
            break
        child.send_signal(number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    return child.wait()


def main() -> int:
    """The command is in the arguments; its code is answered."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the pipe says when
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake)
    before = _with_parent if sys.platform == "linux" else None
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=before, start_new_session=True)
    while child.poll() is None:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
        elif not os.read(0, 4096):
            return _stop(child)
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
