# Asks for a prompt when the program has ended.
import os
import sys
os.environ['PYTHONINSPECT'] = '1'
print('the end', sys.flags.inspect)
