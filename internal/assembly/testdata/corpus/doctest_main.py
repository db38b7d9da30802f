"""
>>> double(2)
4
>>> double('a')
'aa'
>>> double(3)
7
"""
import doctest
import sys

def double(x):
    """
    >>> double([1])
    [1, 1]
    >>> double(None)
    Traceback (most recent call last):
    TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'
    """
    return x * 2

result = doctest.testmod()
print(result)
sys.exit(result.failed)
