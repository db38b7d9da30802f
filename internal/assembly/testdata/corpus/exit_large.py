import sys
print('large')
sys.exit(2**40 + 7)
