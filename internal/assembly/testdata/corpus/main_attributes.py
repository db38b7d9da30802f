"""A docstring of the main module."""
import sys

print(sorted(globals()))
for name in ('__name__', '__file__', '__package__', '__spec__', '__cached__', '__doc__', '__annotations__'):
    print(name, repr(globals().get(name, 'missing')))
print(type(__loader__), vars(__loader__), __loader__.is_package('__main__'))
print(__loader__.get_filename('__main__'), len(__loader__.get_data(__file__)) == len(open(__file__, 'rb').read()))
print(__loader__.path_stats(__file__)['size'] == len(open(__file__, 'rb').read()))
print(type(__builtins__), __builtins__.__name__, sys.modules['__main__'].__dict__ is globals())
main = sys.modules['__main__']
print(repr(main), main.__dict__ is globals(), list(vars(main))[:12])
x: int = 1
print(__annotations__)
