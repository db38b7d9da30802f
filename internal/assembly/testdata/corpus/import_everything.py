# Every module of the standard library comes up, or fails, alike.
import importlib
import sys
import warnings

warnings.simplefilter('ignore')
skipped = {'antigravity', 'this', 'idlelib', 'turtledemo', 'turtle', 'tkinter', '_tkinter', 'lib2to3', 'pip', 'test'}
failed = {}
for name in sorted(sys.stdlib_module_names - skipped):
    try:
        importlib.import_module(name)
    except BaseException as e:
        failed[name] = repr(e)
print(failed)
print(len(sys.modules), sorted(sys.modules))
