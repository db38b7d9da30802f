import platform
print(platform.processor(), platform.machine(), repr(open('/proc/cpuinfo').read()))
try:
    from numpy.core._multiarray_umath import __cpu_features__
    print(sorted(k for k, v in __cpu_features__.items() if v))
except ImportError as e:
    print(e)
import ctypes, math
libm = ctypes.CDLL('libm.so.6')
print(libm.fegetround(), libm.fetestexcept(0x3f) & ~0x20, math.fma(2, 3, 4) if hasattr(math, 'fma') else '')
print((0.1 + 0.2).hex(), math.sin(1e22).hex(), math.exp(1).hex(), (1e308 * 10), float('nan') == float('nan'), 5e-324 / 2)
libm.fesetround(0x400)
print((0.1 + 0.2).hex())
