# What is random, a name and a value on each line. Names with a tilde are what
# the interpreter drew when it started.
import ctypes
import multiprocessing
import os
import random
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid

def say(name, value):
    print(name.replace(' ', '_'), repr(value).replace(' ', ''))

def filled(call, *args):
    buffer = ctypes.create_string_buffer(16)
    call(buffer, *args)
    return buffer.raw

def child(code):
    return subprocess.check_output([sys.executable, '-c', code])

libc = ctypes.CDLL(None)
say('os.urandom', os.urandom(16))
say('os.getrandom', os.getrandom(16))
say('getentropy', filled(libc.getentropy, 16))
if hasattr(libc, 'arc4random_buf'):
    say('arc4random', filled(libc.arc4random_buf, 16))
for name in ('/dev/urandom', '/dev/random'):
    with open(name, 'rb', buffering=0) as f:
        say(name, f.read(16))
say('random', random.random())
say('random.Random', random.Random().random())
say('random.SystemRandom', random.SystemRandom().random())
random.seed()
say('random.seed', random.random())
say('uuid1', uuid.uuid1())
say('uuid4', uuid.uuid4())
say('uuid.getnode', uuid.getnode())
say('secrets', secrets.token_hex())
say('ssl', ssl.RAND_bytes(16))
say('tempfile', tempfile.mkdtemp())
say('mktemp', subprocess.getoutput('mktemp -u'))
say('authkey', bytes(multiprocessing.current_process().authkey))
say('hostname', socket.gethostname())
say('kernel uuid', open('/proc/sys/kernel/random/uuid').read())
say('hash in a child', child('print(hash("a"))'))
say('layout of a child', child('print(open("/proc/self/maps").read())'))
say('AT_RANDOM of a child', child('print(open("/proc/self/auxv", "rb").read(), id(None))'))
try:
    import numpy
    say('numpy', numpy.random.default_rng().random())
    say('numpy.random', numpy.random.rand())
except ImportError:
    pass
say('time', time.time_ns())
say('monotonic', time.monotonic_ns())
libc.getauxval.restype = ctypes.c_void_p
say('~hash', hash('a'))
say('~layout', id(object()))
say('~AT_RANDOM', ctypes.string_at(libc.getauxval(25), 16))
say('~boot_id', open('/proc/sys/kernel/random/boot_id').read())
