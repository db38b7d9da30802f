import code
import pdb
import sys

try:
    breakpoint()
    print('after the breakpoint')
except BaseException as e:
    print(type(e))
code.interact(banner='a banner', local={'x': 1}, exitmsg='bye')
print(hasattr(sys, 'ps1'), sys.breakpointhook is sys.__breakpointhook__)
c = code.InteractiveConsole()
for line in ('1 + 1', 'for i in range(2):', '    print(i)', '', '1/0', 'def ('):
    print(c.push(line))
pdb.set_trace()
print('unreachable or not')
