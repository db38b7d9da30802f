import sys
print('never')

def fine():
    return 'é☃'

def broken(:
    pass
