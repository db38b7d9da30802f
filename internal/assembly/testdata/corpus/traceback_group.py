def one(n):
    raise IndexError(n)

errors = []
for n in range(3):
    try:
        one(n)
    except IndexError as e:
        errors.append(e)
try:
    raise ExceptionGroup('inner', errors)
except ExceptionGroup as inner:
    raise ExceptionGroup('outer', [inner, TypeError('beside')]) from None
