import ctypes
import ctypes.util
import os

libc = ctypes.CDLL(None, use_errno=True)
print(libc.getpid() == os.getpid(), libc.getppid(), libc.strlen(b'four'), libc.abs(-3))
print(libc.open(b'/no/such', 0), os.strerror(ctypes.get_errno()))
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
values = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
libc.qsort(values, 5, 4, compare(lambda a, b: a[0] - b[0]))
print(list(values))
libc.getauxval.restype = ctypes.c_ulong
libc.getauxval.argtypes = [ctypes.c_ulong]
for key in (3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 23, 24, 25, 26, 31, 33, 51):
    value = libc.getauxval(key)
    print(key, value if key in (4, 5, 6, 8, 11, 12, 13, 14, 16, 17, 23, 26) else value != 0)
libc.getauxval.restype = ctypes.c_char_p
print(libc.getauxval(31), libc.getauxval(15))  # AT_EXECFN, AT_PLATFORM
ctypes.pythonapi.Py_GetVersion.restype = ctypes.c_char_p
print(ctypes.pythonapi.Py_GetVersion(), ctypes.pythonapi.Py_IsInitialized())
libc.setlocale.restype = ctypes.c_char_p
print(libc.setlocale(6, None), ctypes.util.find_library('c'), libc.isatty(0), libc.getpagesize())
print([libc.prctl(n, 0, 0, 0, 0) for n in (3, 7, 8, 21, 27, 30, 39)])
name = ctypes.create_string_buffer(16)
print(libc.prctl(16, name, 0, 0, 0), name.value, libc.personality(0xffffffff))
death = ctypes.c_int(-1)
print(libc.prctl(2, ctypes.byref(death), 0, 0, 0), death.value)
print(libc.rand(), libc.rand())
