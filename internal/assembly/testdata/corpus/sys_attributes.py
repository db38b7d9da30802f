import sys

print(sys.argv, sys.orig_argv, sys.path)
print(sys.flags)
print(sys.executable, sys.prefix, sys.exec_prefix, sys.base_prefix, sys.platlibdir, sys.pycache_prefix)
print(sys.dont_write_bytecode, sys.warnoptions, sys._xoptions, sys.implementation.name, sys.version)
print(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), sys.getdefaultencoding())
print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.float_info, sys.hash_info, sys.thread_info)
print(sys.gettrace(), sys.getprofile(), sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__)
print(sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth(), sys.is_finalizing(), sys.int_info)
print([hasattr(sys, name) for name in ('ps1', 'last_type', 'last_value', 'exc_info', 'tracebacklimit')], sys.exc_info())
print(sorted(vars(sys)))
print(sys.stdlib_module_names == frozenset(sys.stdlib_module_names), len(sys.stdlib_module_names), sys.builtin_module_names)
