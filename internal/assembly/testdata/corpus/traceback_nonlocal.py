# A mistake that the compiler finds, not the parser.
def f():
    x = 1
    def g():
        nonlocal yy
        yy = 2
    return g
