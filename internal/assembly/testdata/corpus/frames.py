import inspect
import sys
import traceback

f = sys._getframe()
print(f.f_back, f.f_code.co_filename, f.f_code.co_name, f.f_code.co_firstlineno, f.f_lineno, f.f_globals is globals())
print(f.f_code.co_flags, f.f_code.co_stacksize, f.f_code.co_names[:4], f.f_locals is globals(), f.f_trace)

def deeper(n):
    if n:
        return deeper(n - 1)
    depth, frame = 0, sys._getframe()
    while frame:
        depth, frame = depth + 1, frame.f_back
    return depth
print(deeper(0), deeper(10), len(inspect.stack()))
print(''.join(traceback.format_stack()))
print(sys._current_frames().keys() == {__import__('threading').main_thread().ident})
print([sorted(vars(type(f)))])
print(hash(f.f_code.co_code) is not None, f.f_code.co_code.hex())
import dis
dis.dis(deeper)
