import sys
print('\n'.join(sorted(sys.modules)))
for name, module in sorted(sys.modules.items()):
    spec = getattr(module, '__spec__', None)
    print(name, getattr(module, '__file__', None), getattr(spec, 'origin', None), getattr(spec, 'cached', None),
          getattr(spec, '_initializing', None), type(getattr(module, '__loader__', None)).__name__)
# In the order in which they were imported.
print(list(sys.modules))
