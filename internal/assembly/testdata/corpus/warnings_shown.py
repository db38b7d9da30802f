import sys
import warnings

print(warnings.filters, sys.warnoptions, warnings._onceregistry, warnings.showwarning is warnings._showwarning_orig)
f = open(__file__)
del f  # a ResourceWarning is not shown
def old(): warnings.warn('deprecated', DeprecationWarning, 2)
old(); old()
for _ in range(2): warnings.warn('once per place', UserWarning)
warnings.simplefilter('always')
for _ in range(2): warnings.warn('always', FutureWarning)
warnings.simplefilter('error')
async def never(): pass
warnings.simplefilter('default')
never()
warnings.warn_explicit('explicit', UserWarning, 'other.py', 7)
print(sorted(k for k in globals() if 'warning' in k))
try: import asyncore
except ImportError as e: print(e)
