import sys

print(list(sys.path_importer_cache))
print({k: None if v is None else type(v).__name__ for k, v in sys.path_importer_cache.items()})
print([getattr(h, '__qualname__', h) for h in sys.path_hooks], [getattr(f, '__name__', f) for f in sys.meta_path])
import zipimport
print(zipimport._zip_directory_cache, vars(zipimport).keys() - vars(sys.modules['zipimport']).keys())
for name in ('main', 'no_such_module'):
    try:
        __import__(name)
    except BaseException as e:
        print(type(e).__name__, e)
print(sorted(k for k in sys.path_importer_cache))
