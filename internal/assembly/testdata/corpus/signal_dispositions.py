import ctypes
import os
import signal

libc = ctypes.CDLL(None)
class Action(ctypes.Structure):
    _fields_ = [('handler', ctypes.c_void_p), ('mask', ctypes.c_ulong * 16), ('flags', ctypes.c_int), ('restorer', ctypes.c_void_p)]
for number in range(1, 65):
    a = Action()
    rc = libc.sigaction(number, None, ctypes.byref(a))
    kind = {None: 'default', 1: 'ignored'}.get(a.handler, 'handled')
    try:
        python = signal.getsignal(number)
    except ValueError as e:
        python = e
    print(number, rc, kind, a.flags & 0xffffffff if rc == 0 else '', a.mask[0], python)
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.sigpending(), signal.valid_signals() == set(range(1, 65)) - {32, 33})
print([l for l in open('/proc/self/status') if l.startswith(('Sig', 'Shd'))])
print([signal.getitimer(w) for w in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)], signal.set_wakeup_fd(-1))
stack = (ctypes.c_ulong * 3)()
print(libc.sigaltstack(None, stack), stack[0] == 0, stack[1] & 0xffffffff, stack[2])
