# Nothing in the interpreter knows of what started it.
import gc
import sys

gc.collect()
print(gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks, gc.garbage, gc.get_freeze_count())
objects = gc.get_objects()
count = {}
for o in objects:
    count[type(o).__qualname__] = count.get(type(o).__qualname__, 0) + 1
# The frame of the comprehension and the like aside, these are the interpreter's.
print({k: v for k, v in sorted(count.items()) if k in ('function', 'module', 'type', 'wrapper_descriptor', 'FileFinder',
      'ModuleSpec', 'SourceFileLoader', 'TextIOWrapper', 'FileIO', 'BufferedReader', 'code', 'frame', 'traceback')})
words = ('tako', 'hold', 'held', 'fifo', 'gate', 'snapshot', 'restore', 'checkpoint', 'gvisor')
found = []
for o in objects:
    for name in (getattr(o, '__name__', ''), getattr(o, '__qualname__', ''), getattr(type(o), '__module__', '')):
        if isinstance(name, str) and any(w in name.lower() for w in words):
            found.append(name)
    if isinstance(o, dict):
        found += [k for k in o if isinstance(k, str) and any(w in k.lower() for w in words)]
print(sorted(set(found)))
print([type(o).__name__ for o in objects if hasattr(o, 'fileno') and 'IO' in type(o).__name__])
