# What the compiler warns of, with the line.
x = '\d' + "\é"
if x is 'y': print('never')
assert (x, 'always true')
print([] (1)) if False else None
import warnings
warnings.warn('from the main module')
warnings.warn('old', DeprecationWarning)
def f():
    warnings.warn('one level up', stacklevel=2)
f()
f()
print(warnings.filters)
