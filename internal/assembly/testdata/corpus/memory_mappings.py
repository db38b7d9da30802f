import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.sbrk.restype = ctypes.c_void_p
libc.sbrk.argtypes = [ctypes.c_long]
begin = libc.sbrk(0)
print(libc.sbrk(1 << 20) == begin, libc.sbrk(0) - begin)
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b'\xb8\x2a\x00\x00\x00\xc3')  # mov eax, 42; ret
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())
try:
    mmap.mmap(os.open('/tmp/x', os.O_RDWR | os.O_CREAT), 4096, prot=mmap.PROT_EXEC | mmap.PROT_READ)
except OSError as e: print(e)
except ValueError as e: print(e)
big = mmap.mmap(-1, 1 << 30)
big[1 << 29] = 7
print(big[1 << 29], big[0], big.madvise(mmap.MADV_DONTNEED), big[1 << 29])
shared = mmap.mmap(-1, 4096)
if os.fork() == 0:
    shared[0] = 9
    os._exit(0)
os.wait()
print(shared[0])
libc.mmap.restype = ctypes.c_void_p
print(libc.mmap(ctypes.c_void_p(0), 4096, 1, 0x32, -1, 0), ctypes.get_errno(), libc.mlock(ctypes.c_void_p(begin), 4096))
print(libc.mprotect(ctypes.c_void_p(begin & ~4095), 4096, 3), max(sum(range(n)) for n in range(300)))
data = [list(range(1000)) for _ in range(2000)]
print(sum(map(len, data)))
