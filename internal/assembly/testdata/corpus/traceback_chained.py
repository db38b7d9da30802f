def first():
    raise KeyError('first')

def second():
    try:
        first()
    except KeyError as e:
        raise ValueError('second') from e

def third():
    try:
        second()
    except ValueError:
        raise OSError(5, 'third', '/some/file')

try:
    third()
except OSError as e:
    e.add_note('a note\nof two lines')
    raise
