import ctypes
import faulthandler
print('before')
ctypes.string_at(8)
